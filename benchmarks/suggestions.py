"""Does `fusionclf suggest` choose better products to label than chance?

    python -m benchmarks.suggestions data/flipkart --seeds 8

Each seed hides all labels but those of a few random training products. Then, in each round, `suggest` or chance
chooses further ones, whose labels are given, and `baseline linear` is fitted again. It prints the accuracy over all
classes on the test products, which stay the same, and the difference of the last round by seed. The catalog is
described by `data describe` where it has no catalog.yaml; it is not changed.
"""

import argparse
import contextlib
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from fusionclf.catalog import make_split, read_catalog
from fusionclf.catalog.tables import joined_rows, open_table
from fusionclf.console import Console
from fusionclf.prediction import RunModel
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.data import check_settings
from fusionclf.workflows.describe import data_describe
from fusionclf.workflows.suggest import SuggestRequest, suggest

DIVISION = "division"
QUIET = Console(quiet=True)
WORDS = (
    "split.rule=column",
    f"split.column={DIVISION}",
    "split.top_k=100000",
    "split.group_by=",
    "catalog.picture=null",
)


class Shop:
    """A catalog whose labels can be hidden.

    Args:
        data: the catalog's folder.
        folder: for tables and runs.
    """

    def __init__(self, data: Path, folder: Path) -> None:
        self.folder = folder
        described = data / "catalog.yaml"
        if not described.is_file():
            described = folder / "described.yaml"
            with contextlib.redirect_stdout(None):
                data_describe(data, (), described, False, QUIET)
        values = yaml.safe_load(described.read_text(encoding="utf-8"))["catalog"] | {"file": "shop.csv"}
        (folder / "catalog.yaml").write_text(yaml.safe_dump({"catalog": values}), encoding="utf-8")
        settings = check_settings(data, str(described), ())
        catalog = read_catalog(data, settings.catalog, split_columns=settings.split.columns_read)
        self.columns = catalog.columns
        split = make_split(catalog, settings.split)
        self.tests = set(catalog.table["id"].iloc[split.rows(catalog, None, "test")])
        self.pool = (
            catalog.table["id"].iloc[split.rows(catalog, None, "train", "validation")].to_numpy(object)
        )
        rows = joined_rows(open_table(data / self.columns.file).chunks(last=self.columns.title)).table
        self.table = rows.loc[rows[self.columns.id].isin([*self.tests, *self.pool])]

    def fit(self, known: set[str]) -> tuple[Path, float]:
        """A run that knows the labels of some training products, and its accuracy in percent."""
        ids, label = self.table[self.columns.id].tolist(), self.columns.label
        is_shown = np.array([product in known or product in self.tests for product in ids])
        shown = np.where(is_shown, self.table[label], "")
        division = ["test" if product in self.tests else "train" for product in ids]
        self.table.assign(**{label: shown, DIVISION: division}).to_csv(self.folder / "shop.csv", index=False)
        out = self.folder / f"run{len(list(self.folder.glob('run*')))}"
        metrics = run_baseline("linear", self.folder / "shop.csv", out, overrides=WORDS, console=QUIET)
        return out, metrics["joint"]["top1"]

    def rounds(self, chooser: str, seed: int, start: int, count: int, rounds: int) -> list[float]:
        """Accuracy before and after each round of labelling."""
        generator = np.random.default_rng(seed)
        known = set(generator.choice(self.pool, start, replace=False))
        accuracies = []
        for number in range(rounds + 1):
            run, accuracy = self.fit(known)
            accuracies.append(accuracy)
            if number == rounds:
                break
            if chooser == "suggest":
                request = SuggestRequest(
                    RunModel(run, part="joint", cpu=True),
                    self.folder / "shop.csv",
                    self.folder / "next",
                    count,
                )
                known |= set(suggest(request, QUIET))
            else:
                left = np.array([product for product in self.pool if product not in known], object)
                known |= set(generator.choice(left, count, replace=False))
        assert len(known) == start + rounds * count
        return accuracies


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--start", type=int, default=60)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    started = time.process_time()
    found: dict[str, list[list[float]]] = {"chance": [], "suggest": []}
    for seed in range(given.seeds):
        for chooser, rows in found.items():
            with tempfile.TemporaryDirectory() as folder:
                shop = Shop(given.data, Path(folder))
                rows.append(shop.rounds(chooser, seed, given.start, given.count, given.rounds))
    labels = [given.start + number * given.count for number in range(given.rounds + 1)]
    mean = {name: np.mean(rows, axis=0).round(2) for name, rows in found.items()}
    print(pd.DataFrame(mean, index=pd.Index(labels, name="labels")).T.to_string())
    gains = [ours[-1] - chance[-1] for ours, chance in zip(found["suggest"], found["chance"], strict=True)]
    print("gain of the last round by seed:", " ".join(f"{gain:+.1f}" for gain in gains))
    print(f"{time.process_time() - started:.0f} processor seconds")


if __name__ == "__main__":
    main()
