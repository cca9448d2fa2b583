"""Which train rows a model can learn from: the one rule for data check, training and the report.

A train row is a product in the train or validation subset of the split. A model can learn from it if the product
has a picture and the model reads pictures, or a title and the model reads titles.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from fusionclf.catalog.records import Catalog
from fusionclf.config import Section

EXAMPLES = 3  # ids and classes that a message names


class UnusedRows(Section):
    """Train rows that a model cannot learn from; environment.json holds them as plain data."""

    rows: int = Field(ge=0, description="their number")
    train_rows: int = Field(ge=0, description="number of all train rows, these included")
    reason: str = Field(description='what they lack, such as "no title"')
    examples: tuple[str, ...] = Field(description="ids of the first few")
    lost_classes: dict[str, int] = Field(
        description="classes without any usable train row → how many rows they lose"
    )

    def __bool__(self) -> bool:
        return self.rows > 0

    def __str__(self) -> str:
        text = f"{self.rows:,} of {self.train_rows:,} train rows have {self.reason} ({_some(self.examples, self.rows)})"
        if not self.lost_classes:
            return text
        count = len(self.lost_classes)
        names = _some(tuple(self.lost_classes), count)
        return f"{text}; {count:,} class(es) left without a train row ({names})"


def usable_rows(has_picture: np.ndarray | None, has_title: np.ndarray | None) -> np.ndarray:
    """(N,) whether a model can learn from each product.

    Args:
        has_picture: (N,) whether each has a picture that can be read; None for a model that reads no pictures.
        has_title: (N,) likewise; None for a model that reads no titles.

    >>> usable_rows(np.array([True, False, False]), np.array([False, True, False])).tolist()
    [True, True, False]
    """
    read = [mask for mask in (has_picture, has_title) if mask is not None]
    assert read, "a model reads pictures, titles or both"
    return np.logical_or.reduce(read)


def unused_rows(
    catalog: Catalog, rows: np.ndarray, has_picture: np.ndarray | None, has_title: np.ndarray | None
) -> UnusedRows:
    """The train rows that a model cannot learn from.

    Args:
        catalog: the products.
        rows: catalog rows of the train and validation subsets.
        has_picture, has_title: as for `usable_rows`.
    """
    usable = usable_rows(has_picture, has_title)[rows]
    lost, used = rows[~usable], rows[usable]
    known, counts = catalog.count_labels(used), catalog.count_labels(lost)
    names = [
        *(["picture that can be read"] if has_picture is not None else []),
        *(["title"] if has_title is not None else []),
    ]
    return UnusedRows(
        rows=len(lost),
        train_rows=len(rows),
        reason=f"no {' and no '.join(names)}",
        examples=tuple(catalog.table["id"].iloc[lost[:EXAMPLES]]),
        lost_classes={name: counts[name] for name in sorted(counts) if name not in known},
    )


def unused_by_models(catalog: Catalog, rows: np.ndarray, has_picture: np.ndarray) -> dict[str, UnusedRows]:
    """For models that read pictures, titles or both: the train rows that they cannot learn from; none where all can.

    Args:
        catalog: the products.
        rows: catalog rows of the train and validation subsets.
        has_picture: (N,) whether each product has a picture that can be read.
    """
    masks = {"all models": (has_picture, catalog.has_title)}
    if catalog.columns.picture is not None and catalog.columns.title is not None:
        masks = {
            "models that read pictures alone": (has_picture, None),
            "models that read titles alone": (None, catalog.has_title),
            **masks,
        }
    found = {kind: unused_rows(catalog, rows, *read) for kind, read in masks.items()}
    return {kind: unused for kind, unused in found.items() if unused}


def _some(values: Sequence[str], count: int) -> str:
    return ", ".join([*values[:EXAMPLES], *(["…"] if count > EXAMPLES else [])])
