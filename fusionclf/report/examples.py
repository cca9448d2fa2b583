"""Example products: right in one run and wrong in another, and each run's most confident errors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from fusionclf.catalog import Catalog
from fusionclf.evaluation import confident_errors, disagreements, ranked_classes
from fusionclf.report.collect import Run
from fusionclf.report.ranking import ranked

MOST_PRODUCTS = 12  # in a list
MOST_RUNS = 10  # of a part, best first, that lists are made for: this limits the size of the page


def examples(runs: Sequence[Run], part: str, catalog: Catalog | None) -> list[dict[str, Any]]:
    """Lists of products: the best run of a part against each other one, both ways, and every run's errors.

    Returns:
        For each list that is not empty: `right` and `wrong` (names of runs; `right` is None in a list of
        errors), n (number of products), and `products`: id, title (None without the catalog), label,
        train_rows of the class, and each named run's most likely classes with probabilities.
    """
    order = ranked(runs, part)[:MOST_RUNS]
    rows = None if catalog is None else pd.Series(catalog.table["title"].to_numpy(), catalog.table["id"])
    found = []
    for right, wrong in _pairs(order):
        frame, both = wrong.frames[part], [wrong]
        if right is None:
            n, ids = confident_errors(frame, MOST_PRODUCTS)
        else:
            n, ids = disagreements(right.frames[part], frame, MOST_PRODUCTS)
            both = [right, wrong]
        if n:
            products = _products(part, ids, both, rows)
            name = right.name if right else None
            found.append({"right": name, "wrong": wrong.name, "n": n, "products": products})
    return found


def _pairs(order: Sequence[Run]) -> Iterator[tuple[Run | None, Run]]:
    best, *others = order
    for other in others:
        yield best, other
        yield other, best
    for run in order:
        yield None, run


def _products(
    part: str, ids: Sequence[str], runs: Sequence[Run], titles: "pd.Series | None"
) -> list[dict[str, Any]]:
    frame = runs[-1].frames[part].set_index("id").loc[list(ids)]
    ranked_by_run = {run.name: ranked_classes(run.frames[part], ids) for run in runs}
    return [
        {
            "id": product,
            "title": None if titles is None or product not in titles.index else str(titles[product]),
            "label": str(row["label"]),
            "train_rows": int(row["label_train_count"]),
            "answers": {
                name: [{"label": label, "probability": share} for label, share in of_run[product]]
                for name, of_run in ranked_by_run.items()
            },
        }
        for product, row in zip(ids, frame.to_dict("records"), strict=True)
    ]


def picture_files(value: dict[str, Any], catalog: Catalog) -> dict[str, Path | None]:
    """Paths of the pictures of all products in the report's examples."""
    wanted = {
        product["id"]
        for lists in value["examples"].values()
        for each in lists
        for product in each["products"]
    }
    places = [row for row, product in enumerate(catalog.table["id"]) if product in wanted]
    paths = catalog.picture_paths(pd.Index(places).to_numpy())
    return dict(zip(catalog.table["id"].iloc[places], paths, strict=True))
