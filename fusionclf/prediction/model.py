"""What a Predictor needs of a run's model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
import pandas as pd

from fusionclf.catalog.fields import Fields
from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation.multilabel import SigmoidDecision

if TYPE_CHECKING:
    from fusionclf.batches import PictureCache


class Model(Protocol):
    """A run's trained model: network or baseline.

    Attributes:
        classes: the candidates.
        every: all classes that it computes, candidates or not.
        added: those that were not trained.
        columns: places of `classes` in `every`; None where all are candidates.
        is_open: whether classes can be added.
        decision: how probabilities become labels, where a product can have several; else None.
    """

    classes: tuple[str, ...]
    added: tuple[str, ...]
    columns: np.ndarray | None
    cover: tuple[int, int] | None
    reads_titles: bool
    fields: Fields
    decision: SigmoidDecision | None

    @property
    def tasks(self) -> Mapping[str, Sequence[str]]: ...

    @property
    def is_open(self) -> bool: ...

    def warm_up(self, count: int, threads: int | None = None, console: Console = SILENT) -> None: ...

    def keep_texts(self) -> None: ...

    @property
    def every(self) -> tuple[str, ...]: ...

    def probabilities(self, pictures: "PictureCache | None", fields: pd.DataFrame) -> np.ndarray: ...

    def task_probabilities(
        self, pictures: "PictureCache | None", fields: pd.DataFrame
    ) -> dict[str, np.ndarray]: ...

    def embed(self, pictures: "PictureCache | None", fields: pd.DataFrame) -> dict[str, np.ndarray]:
        """joint, and for a model that reads both also picture and text: (n, D) of length 1; and label: (n, K)
        probabilities. A row is NaN where the input is missing.

        Raises:
            RunError: the model reads nothing.
        """
        ...


def check_one_label(model: Model, what: str) -> None:
    """Raise SettingsError where a model predicts several labels per product; `what` needs one."""
    if model.decision is not None:
        raise SettingsError(
            f"{what}: needs one label per product, but this run predicts several; use a run without catalog.label_list"
        )


class FixedClasses:
    """The part of a Model that is the same wherever no class can be added and nothing is prepared."""

    classes: tuple[str, ...]
    added: tuple[str, ...] = ()
    columns: np.ndarray | None = None
    is_open = False
    decision: SigmoidDecision | None = None

    @property
    def every(self) -> tuple[str, ...]:
        """All classes."""
        return self.classes

    def warm_up(self, count: int, threads: int | None = None, console: Console = SILENT) -> None:
        """Nothing: it has no encoders to prepare."""

    def keep_texts(self) -> None:
        """Nothing: it keeps no texts."""

    def embed(self, pictures: "PictureCache | None", fields: pd.DataFrame) -> dict[str, np.ndarray]:
        """Raises RunError: a model that only gives probabilities has no embeddings."""
        raise RunError(
            "this model has no embeddings; give the run that was exported, or one that reads titles"
        )
