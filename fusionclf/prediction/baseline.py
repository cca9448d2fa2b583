"""A text baseline of a run, behind the same face as a network."""

from pathlib import Path

import numpy as np

from baselines.loaded import LoadedBaseline
from fusionclf.batches import PictureCache


class BaselineModel:
    """A baseline: reads titles or nothing, and no picture.

    Args:
        folder: the run's model folder.
        part: of the split, or `joint`.
    """

    cover: tuple[int, int] | None = None

    def __init__(self, folder: Path, part: str) -> None:
        self.kept = LoadedBaseline(folder, part)
        self.classes = self.kept.classes
        self.reads_titles = self.kept.reads_titles

    def probabilities(self, pictures: PictureCache | None, titles: list[str]) -> np.ndarray:
        """(n, K) probabilities of n products."""
        return self.kept.probabilities(titles) if titles else np.zeros((0, len(self.classes)))
