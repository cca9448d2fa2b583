"""Which stages a training run has."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from fusionclf.catalog import Catalog, Split
from fusionclf.config import RunConfig, TrainConfig
from fusionclf.run_schema import ALL_CLASSES


@dataclass(frozen=True)
class Stage:
    """One model to train.

    Attributes:
        part: of the split, or ALL_CLASSES.
        settings: how it is trained.
        last: whether it is the last one of the run; a stage on its smallest classes may follow.
    """

    part: str
    settings: TrainConfig
    last: bool

    @property
    def split_part(self) -> str | None:
        """The part of the split; None for all classes."""
        return None if self.part == ALL_CLASSES else self.part

    def candidates(self, split: Split) -> dict[str | None, tuple[str, ...]]:
        """Part (None: all classes) → the candidates that the stage's model predicts it with."""
        found: dict[str | None, tuple[str, ...]] = {self.split_part: split.class_names(self.split_part)}
        return found | split.classes if self.split_part is None else found


@dataclass(frozen=True)
class StageRows:
    """The catalog rows of a stage that its model can learn from."""

    train: np.ndarray
    validation: np.ndarray

    @property
    def all(self) -> np.ndarray:
        """Train rows, then validation rows."""
        return np.concatenate([self.train, self.validation])


def list_stages(settings: RunConfig[Any], split: Split) -> list[Stage]:
    """Stage one on the first part of the split, stage two on the rest; or one stage for all classes."""
    if settings.scheme == "single_stage":
        return [Stage(ALL_CLASSES, settings.train, last=True)]
    parts = list(split.classes)
    of_part = [settings.train, *[settings.second_stage] * (len(parts) - 1)]
    return [Stage(part, train, last=part == parts[-1]) for part, train in zip(parts, of_part, strict=True)]


def trained_classes(catalog: Catalog, split: Split, stage: Stage) -> int:
    """How many of a stage's classes have rows in train or validation."""
    counts = split.train_counts(catalog, stage.split_part)
    return sum(rows > 0 for rows in counts.values())


def smallest_classes(targets: np.ndarray, count: int) -> np.ndarray:
    """The class numbers with the fewest rows, at least one each."""
    numbers, counts = np.unique(targets, return_counts=True)
    return numbers[np.argsort(counts, kind="stable")[:count]]
