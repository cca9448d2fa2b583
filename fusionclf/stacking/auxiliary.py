"""The auxiliary tasks of a stage: predictions of the base model's heads for further columns of the catalog."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import pandas as pd
from accelerate import Accelerator
from scipy.special import softmax

from fusionclf.batches import ProductSource
from fusionclf.evaluation import ColumnPredictions, column_answers, fit_temperature
from fusionclf.models import Model, ProductClassifier, base_model
from fusionclf.stacking.run_inputs import RunInputs
from fusionclf.training import predict_tasks

LABEL = "label"
Subset = Literal["test", "validation"]


@dataclass(frozen=True)
class TaskLogits:
    """Logits of auxiliary tasks.

    Attributes:
        rows: (n,) catalog rows, ascending.
        logits: column → (n, K); empty for a model without auxiliary tasks.
    """

    rows: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    logits: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: np.ndarray, logits: Mapping[str, np.ndarray]) -> "TaskLogits":
        """The logits of all tasks except `label`."""
        return cls(rows, {task: values for task, values in logits.items() if task != LABEL})


@dataclass(frozen=True)
class AuxiliaryTasks:
    """The auxiliary tasks of a stage's model.

    Attributes:
        inputs: the catalog and its split.
        base: the network whose heads answer.
        source: all products, with each task's targets.
        classes: task → names of its classes.
        temperatures: task → temperature of its logits.
    """

    inputs: RunInputs
    base: ProductClassifier
    source: ProductSource
    classes: Mapping[str, tuple[str, ...]]
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def fit_temperatures(self, held_out: TaskLogits) -> dict[str, float]:
        """Column → temperature of its logits, fitted on products that the network was not trained on."""
        mine = self._has_input(held_out.rows)
        return {
            task: fit_temperature(logits[mine], self.source.targets[task][held_out.rows[mine]])
            for task, logits in held_out.logits.items()
        }

    def answers(self, part: str | None, test: TaskLogits, validation: TaskLogits) -> pd.DataFrame:
        """The answers for a part's test and validation products, as of `column_answers`.

        Args:
            part: of the split; None for all classes.
            test, validation: logits of the subset's products, those of other parts included.
        """
        frames = [self._rows(part, "test", test)]
        if validation.logits:
            frames.append(self._rows(part, "validation", validation))
        return pd.concat(frames, ignore_index=True)

    def _rows(self, part: str | None, subset: Subset, found: TaskLogits) -> pd.DataFrame:
        split, catalog = self.inputs.split, self.inputs.catalog
        rows = np.intersect1d(split.rows(catalog, part, subset), found.rows)
        fitted = split.rows(catalog, part, "train", *(["validation"] if subset == "test" else []))
        columns = [self._column(task, found, rows, fitted) for task in found.logits]
        return column_answers(self.inputs.context(part, subset, rows), subset, columns)

    def _column(
        self, task: str, found: TaskLogits, rows: np.ndarray, fitted: np.ndarray
    ) -> ColumnPredictions:
        """One column of some catalog rows; the values of `fitted` rows count as training rows."""
        logits = found.logits[task][np.searchsorted(found.rows, rows)].astype(np.float64)
        probabilities = softmax(logits / self.temperatures.get(task, 1.0), axis=1)
        probabilities[~self._has_input(rows)] = np.nan
        targets, names = self.source.targets[task], self.classes[task]
        known = targets[fitted]
        counts = np.bincount(known[known >= 0], minlength=len(names))
        return ColumnPredictions(task, names, targets[rows], probabilities, counts)

    def _has_input(self, rows: np.ndarray) -> np.ndarray:
        source = self.source
        count = len(source.targets[LABEL])
        return self.base.has_input(count, source.has_picture, source.has_title)[rows]


def base_logits(
    model: Model,
    source: ProductSource,
    rows: np.ndarray,
    classes: Mapping[str, tuple[str, ...]],
    accelerator: Accelerator,
) -> dict[str, np.ndarray]:
    """Task → (n, K) logits of the base model for some products; without `label` where a head is stacked on it."""
    base = base_model(model)
    widths = {task: len(names) for task, names in classes.items() if base is model or task != LABEL}
    if not widths:
        return {}
    read = source if base.text is not None else replace(source, titles=None)
    found = predict_tasks(base, read, rows, accelerator, widths)
    return {task: logits.numpy() for task, logits in found.items()}
