"""A trained network of a run, asked for products in the way in which the run asked it for its test rows."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from fusionclf.batches import PictureCache, PictureTransform, ProductSource, cover_size
from fusionclf.config import RunConfig
from fusionclf.evaluation import softmax
from fusionclf.models import find_variant
from fusionclf.models.storage import load_model
from fusionclf.runfolder import read_json
from fusionclf.training import one_process, predict_logits


class NetworkModel:
    """A network with the experts beside it.

    Args:
        folder: the run's model folder.
        part: of the split, or `joint`.
        settings: the run's.
        device: where to run it; None for a GPU where there is one.

    Attributes:
        classes: K names.
        cover: height and width in pixels that a decoded picture must cover; None for a model that reads none.
        reads_titles: whether it reads titles.

    Raises:
        RunError: a file is missing, damaged, or of another model.
    """

    def __init__(
        self,
        folder: Path,
        part: str,
        settings: RunConfig[Any],
        device: torch.device | str | None = None,
    ) -> None:
        labels = read_json(folder / "labels.json")[part]
        self.classes: tuple[str, ...] = tuple(labels["classes"]["label"])
        self.temperature = float(labels["temperature"])
        self.settings = settings
        self.process = one_process(settings.train.precision, device)
        with self.process.autocast():  # class names are embedded as they were in training
            self.model = load_model(folder, part, find_variant(settings.variant), settings.model)
        self.model.to(self.process.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.cover = cover_size(settings.pictures) if self.model.image is not None else None
        self.reads_titles = self.model.title_encoder is not None

    def probabilities(self, pictures: PictureCache | None, titles: list[str]) -> np.ndarray:
        """(n, K) probabilities of n products.

        Args:
            pictures: row i is product i's; None for a model that reads none.
            titles: n titles, whether they are read or not.
        """
        rows = np.arange(len(titles))
        if not len(rows):
            return np.zeros((0, len(self.classes)))
        shown = PictureTransform(pictures, self.settings.pictures) if pictures is not None else None
        prepared = None
        if self.reads_titles:
            with self.process.autocast(), torch.inference_mode():
                prepared = self.model.prepare_titles(titles)
        source = ProductSource(
            shown, prepared, {}, has_picture=None if pictures is None else pictures.readable(rows),
            has_title=np.array([title.strip() != "" for title in titles]),
        )  # fmt: skip
        logits = predict_logits(self.model, source, rows, self.process).numpy()
        return softmax(logits / self.temperature)
