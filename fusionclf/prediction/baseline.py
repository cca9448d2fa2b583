"""A text baseline of a run, with the interface of a network."""

from pathlib import Path

import numpy as np

from baselines.loaded import LoadedBaseline
from fusionclf.batches import PictureCache


class BaselineModel:
    """A baseline: reads titles or nothing, never pictures.

    Args:
        folder: the run's model folder.
        part: of the split, or `joint`.
    """

    cover: tuple[int, int] | None = None

    def __init__(self, folder: Path, part: str) -> None:
        self.loaded = LoadedBaseline(folder, part)
        self.classes = self.loaded.classes
        self.reads_titles = self.loaded.reads_titles
        self.tasks = {"label": self.classes}

    def probabilities(self, pictures: PictureCache | None, titles: list[str]) -> np.ndarray:
        """(n, K) probabilities of n products."""
        return self.loaded.probabilities(titles) if titles else np.zeros((0, len(self.classes)))

    def task_probabilities(self, pictures: PictureCache | None, titles: list[str]) -> dict[str, np.ndarray]:
        """Task → (n, K) probabilities; a baseline has the task `label` alone."""
        return {"label": self.probabilities(pictures, titles)}
