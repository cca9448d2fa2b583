"""FusionClassifier beside LinearSVC on one pandas table: accuracy and processor seconds, over several splits.

    python -m benchmarks.estimator data/flipkart/products.csv --label category --title product_name \
        --pictures data/flipkart/Images/{image} --seeds 3

`--text` names a column of further text. Both get the same rows: those with a label and a picture file; a fifth of each
class is tested. `--set` adds settings of FusionClassifier, such as --set model.vocabulary=closed.
"""

import argparse
import os
import time
import warnings
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from fusionclf import FusionClassifier
from fusionclf.config.yaml_text import as_guessed, parse_yaml


def linear_svc(texts: list[str]) -> Any:
    """A linear SVM on TF-IDF of each column of texts."""
    words = make_column_transformer(*((TfidfVectorizer(), name) for name in texts))
    return make_pipeline(words, LinearSVC())


def fusion(texts: list[str], settings: dict[str, Any]) -> Any:
    """The same columns, and pictures."""
    columns = {"title": texts[0], "text": texts[1:], "picture": "picture", "attributes": []}
    return FusionClassifier(columns=columns, settings=settings)


def read(arguments: argparse.Namespace) -> pd.DataFrame:
    """The rows with a label and a picture file."""
    table: Any = pd.read_csv(arguments.table)
    table["picture"] = [arguments.pictures.format(**row) for row in table.to_dict("records")]
    table = table[[os.path.isfile(path) for path in table["picture"]]].dropna(subset=[arguments.label])
    table = table[table.groupby(arguments.label)[arguments.label].transform("size") > 1]
    return table.fillna(dict.fromkeys([arguments.title, *arguments.text], ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("table")
    for name in ("label", "title", "pictures"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--set", action="append", default=[])
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    settings = {
        name: parse_yaml(text, as_guessed) for name, _, text in (s.partition("=") for s in arguments.set)
    }
    table = read(arguments)
    texts = [arguments.title, *arguments.text]
    X, y = table[[*texts, "picture"]], table[arguments.label]
    print(f"{len(table)} rows, {y.nunique()} classes")
    for seed in range(arguments.seeds):
        X_train, X_test, y_train, y_test = train_test_split(
            X, y, test_size=0.2, stratify=y, random_state=seed
        )
        models = {
            "LinearSVC": linear_svc(texts),
            "FusionClassifier": fusion(texts, settings),
        }
        for name, model in models.items():
            started = time.process_time()
            model.fit(X_train, y_train)
            fitted = time.process_time()
            score = 100 * model.score(X_test, y_test)
            print(
                f"seed {seed} {name}: {score:.1f} % of {len(X_test)}, fit {fitted - started:.1f} s, "
                f"score {time.process_time() - fitted:.1f} s (processor)",
                flush=True,
            )


if __name__ == "__main__":
    main()
