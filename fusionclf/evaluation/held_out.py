"""Held-out predictions of a run, on which thresholds are fitted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fusionclf.errors import RunError, did_you_mean
from fusionclf.evaluation.guarantees import Stratum
from fusionclf.evaluation.hierarchy import level_probs, right_to_level
from fusionclf.evaluation.predictions import group_numbers
from fusionclf.evaluation.read_predictions import read_predictions
from fusionclf.run_schema import read_config

HELD_OUT, AS_UNSEEN = "held_out", "as_unseen"
UNKNOWN_SHARE = (
    0.5  # share of products of unseen classes that thresholds allow for if the expected share is not set
)


@dataclass(frozen=True)
class HeldOut:
    """Predictions of products that the model was not fitted on.

    Attributes:
        frame: predictions for products of classes with training rows.
        as_unseen: predictions for products as if their class had no training row; None if all classes have some.
        share: expected share of products of classes without a training row.
    """

    frame: pd.DataFrame
    as_unseen: pd.DataFrame | None = None
    share: float = UNKNOWN_SHARE

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def kinds(self) -> "list[AnswersByLevel]":
        """The predictions of each kind, without products whose title is in train: a model may remember them."""
        used = self.frame.loc[~self.frame["leaked_title"].to_numpy(bool)]
        seen = AnswersByLevel(right_to_level(used), level_probs(used), group_numbers(used))
        unseen = self.as_unseen
        if unseen is None or not len(unseen):
            return [seen]
        classes = np.unique(unseen["label"].to_numpy(str), return_inverse=True)[1]
        new = AnswersByLevel(right_to_level(unseen), level_probs(unseen), classes, self.share)
        return [replace(seen, share=1 - self.share), new]


@dataclass(frozen=True)
class AnswersByLevel:
    """Held-out answers of one kind: classes and, before them, L category levels, the coarsest first.

    Attributes:
        right: (n, L + 1) whether the path is right from the top down to each level.
        probs: (n, L + 1) probability of the path down to each level.
        groups: (n,) equal numbers for answers that are not independent.
        share: expected share of this kind among future products.
    """

    right: np.ndarray
    probs: np.ndarray
    groups: np.ndarray
    share: float = 1.0

    def level(self, level: int) -> Stratum:
        """The answers of one level."""
        return Stratum(self.probs[:, level], self.right[:, level], self.groups, self.share)

    def below(self, level: int, least: float) -> "AnswersByLevel":
        """The answers whose probability at a level is lower than `least`, and their share."""
        mask = self.probs[:, level] < least
        share = self.share * float(mask.mean()) if len(mask) else 0.0
        return AnswersByLevel(self.right[mask], self.probs[mask], self.groups[mask], share)


def unseen_share(settings: Mapping[str, Any]) -> float:
    """The expected share of products of unseen classes in a run's settings, as in config.yaml."""
    model = settings.get("model")
    given = model.get("unseen_share") if isinstance(model, Mapping) else None
    return UNKNOWN_SHARE if given is None else float(given)


def read_held_out(folder: Path, part: str) -> HeldOut:
    """The held-out predictions of a run.

    Raises:
        RunError: it has none, or none of that part.
    """
    parts = list(_parts(folder / HELD_OUT))
    if not parts:
        raise RunError(
            f"{folder}: has no held-out predictions to fit thresholds on; train again with --overwrite "
            "(of the baselines, only linear has them)"
        )
    if part not in parts:
        raise RunError(f"{folder}: has no held-out predictions of {part!r}; {did_you_mean(part, parts)}")
    frame = read_predictions(folder / HELD_OUT / f"{part}.parquet")
    if part not in _parts(folder / AS_UNSEEN):
        return HeldOut(frame)
    as_unseen = read_predictions(folder / AS_UNSEEN / f"{part}.parquet")
    return HeldOut(frame, as_unseen, unseen_share(read_config(folder)))


def _parts(folder: Path) -> Iterator[str]:
    return (file.stem for file in sorted(folder.glob("*.parquet")))
