"""Predicted values of further columns: what a model's auxiliary heads answer beside the class."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa


@dataclass(frozen=True)
class ColumnValues:
    """The predicted values of one further column for n products.

    Attributes:
        classes: the K values that the model was trained on.
        order: (n,) index of each product's most likely value; K where there is no answer.
        probabilities: (n,) of these values; NaN where there is no answer.

    >>> found = ColumnValues.of(("blue", "red"), np.array([[0.1, 0.9], [np.nan, np.nan]]))
    >>> found.values
    ['red', '']
    """

    classes: tuple[str, ...]
    order: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(cls, classes: Sequence[str], probabilities: np.ndarray) -> "ColumnValues":
        """The most likely values by (n, K) probabilities; a row of NaN has no answer."""
        answered = ~np.isnan(probabilities[:, 0])
        best = np.nan_to_num(probabilities).argmax(axis=1)
        own = probabilities[np.arange(len(best)), best]
        return cls(tuple(classes), np.where(answered, best, len(classes)), np.where(answered, own, np.nan))

    @property
    def values(self) -> list[str]:
        """The most likely value of each product; "" where there is no answer."""
        return np.array([*self.classes, ""], object)[self.order].tolist()

    def value(self, place: int) -> str:
        """The most likely value of one product; "" where there is no answer."""
        number = int(self.order[place])
        return self.classes[number] if number < len(self.classes) else ""


def join_columns(chunks: Sequence[Mapping[str, ColumnValues]]) -> dict[str, ColumnValues]:
    """The values of one model's columns for several chunks of products, concatenated."""
    return {
        name: ColumnValues(
            first.classes,
            np.concatenate([chunk[name].order for chunk in chunks]),
            np.concatenate([chunk[name].probabilities for chunk in chunks]),
        )
        for name, first in chunks[0].items()
    }


def output_columns(further: Mapping[str, ColumnValues], taken: Collection[str]) -> dict[str, pa.Array]:
    """Columns of an output: for each further column its value, and its probability under the name COLUMN_prob.

    A column whose name is taken is written as further_COLUMN.

    >>> list(output_columns({"path": ColumnValues.of(("a",), np.ones((1, 1)))}, {"path"}))
    ['further_path', 'further_path_prob']
    """
    found: dict[str, pa.Array] = {}
    for name, column in further.items():
        own = name
        while {own, f"{own}_prob"} & {*taken, *found}:
            own = f"further_{own}"
        texts = pa.array([*column.classes, ""], pa.string())
        found[own] = pa.DictionaryArray.from_arrays(pa.array(column.order), texts)
        found[f"{own}_prob"] = pa.array(column.probabilities, pa.float64())
    return found
