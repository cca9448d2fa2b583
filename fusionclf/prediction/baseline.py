"""A text baseline of a run, with the interface of a network."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from baselines.loaded import LoadedBaseline
from fusionclf.catalog.fields import Fields
from fusionclf.errors import RunError
from fusionclf.prediction.embeddings import normalised_rows
from fusionclf.prediction.model import FixedClasses
from fusionclf.prediction.projection import project

if TYPE_CHECKING:
    from fusionclf.batches import PictureCache


class BaselineModel(FixedClasses):
    """A baseline: reads texts or nothing, never pictures.

    Args:
        folder: the run's model folder.
        part: of the split, or `joint`.
        fields: the further texts and attributes that the run was given.
    """

    cover: tuple[int, int] | None = None

    def __init__(self, folder: Path, part: str, fields: Fields = Fields()) -> None:  # noqa: B008  frozen
        self.loaded = LoadedBaseline(folder, part, fields)
        self.classes = self.loaded.classes
        self.reads_titles = self.loaded.reads_titles
        self.fields = fields if self.loaded.reads_fields else Fields()
        self.tasks = {"label": self.classes}
        self.decision = self.loaded.decision

    def probabilities(self, pictures: "PictureCache | None", fields: pd.DataFrame) -> np.ndarray:
        """(n, K) probabilities of n products."""
        return self.loaded.probabilities(fields) if len(fields) else np.zeros((0, len(self.classes)))

    def task_probabilities(
        self, pictures: "PictureCache | None", fields: pd.DataFrame
    ) -> dict[str, np.ndarray]:
        """Task → (n, K) probabilities; a baseline has the task `label` alone."""
        return {"label": self.probabilities(pictures, fields)}

    def embed(self, pictures: "PictureCache | None", fields: pd.DataFrame) -> dict[str, np.ndarray]:
        """As of Model: the features that the baseline's linear model reads, projected to a fixed width."""
        if not self.reads_titles:
            raise RunError("this run reads no inputs, so it has no embeddings; give a run that reads titles")
        projected = normalised_rows(project(self.loaded.features(fields)))
        return {"joint": projected, "label": self.probabilities(pictures, fields)}
