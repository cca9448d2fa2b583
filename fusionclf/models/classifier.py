"""The base model of all variants: encoders, one fuser, and a head for each task."""

from collections.abc import Mapping
from urllib.parse import quote

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from fusionclf.batches import Batch, TitleTable
from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.fusers import MissingModality
from fusionclf.models.text_encoders import TextEncoder

HEADS = "heads."  # what belongs to one part's classes


class ProductClassifier(nn.Module):
    """Logits of each task from a product's picture, title, or both.

    Args:
        image: picture encoder, or None.
        text: title encoder, or None.
        fuser: joins the encoders' features, (B, Di) and (B, Dt) → (B, D); None with one encoder.
        heads: task → head, (B, D) → (B, K). The task `label` is the class; others are further columns of the catalog.
        task_weights: factor of each task's loss.
        dropout: on the features before the heads.
        missing: replaces the features of a picture or a title that is missing; for a model with a fuser.

    Attributes:
        tasks: names of the tasks, in the order of `heads`.

    >>> import numpy as np, pandas as pd, torch
    >>> from fusionclf.batches import Batch
    >>> from fusionclf.models.text_encoders import HashedNGramEncoder
    >>> encoder = HashedNGramEncoder(buckets=64, dim=8)
    >>> model = ProductClassifier(None, encoder, None, {"label": torch.nn.Linear(8, 3)}, {"label": 1.0})
    >>> rows = np.array([0, 1])
    >>> titles = model.prepare_fields(pd.DataFrame({"title": ["blue shoes", "red dress"]})).batch(rows)
    >>> model(Batch(rows, None, titles, {}))["label"].shape
    torch.Size([2, 3])
    """

    def __init__(
        self,
        image: ImageEncoder | None,
        text: TextEncoder | None,
        fuser: nn.Module | None,
        heads: Mapping[str, nn.Module],
        task_weights: Mapping[str, float],
        dropout: float = 0.0,
        missing: MissingModality | None = None,
    ) -> None:
        super().__init__()
        if (image is not None and text is not None) != (fuser is not None):
            raise ValueError("two encoders need a fuser, one encoder takes none")
        self.image = image
        self.text = text
        self.fuser = fuser
        self.missing = missing
        self.dropout = nn.Dropout(dropout)
        self.tasks = tuple(heads)
        self.heads = nn.ModuleDict({head_name(task): head for task, head in heads.items()})
        self.task_weights = dict(task_weights)

    @property
    def text_encoder(self) -> TextEncoder | None:
        """The encoder whose `prepare` gives the tensors that this model reads; None where it reads no titles."""
        return self.text

    def prepare_fields(self, fields: pd.DataFrame) -> TitleTable:
        """The fields of n products as tensors: the column `title`, and those of further texts and attributes."""
        assert self.text is not None, "this model reads no titles"
        return self.text.prepare_fields(fields)

    def features(self, batch: Batch) -> Tensor:
        """(B, D) fused features."""
        return self.fuse(self.encode(batch), batch)

    def encode(self, batch: Batch) -> list[Tensor]:
        """Features of the picture (B, Di) and of the title (B, Dt), of those that the network reads."""
        found: list[Tensor] = []
        if self.image is not None:
            found.append(self.image_features(batch))  # (B, Di)
        if self.text is not None:
            assert batch.titles is not None, "this model reads titles"
            found.append(self.text(batch.titles))  # (B, Dt)
        return found

    def fuse(self, found: list[Tensor], batch: Batch) -> Tensor:
        """(B, D) fused features, of what `encode` gives."""
        if self.fuser is None:
            return found[0]
        if self.missing is not None:
            found = self.missing(*found, batch.has_picture, batch.has_title)
        return self.fuser(*found)

    def image_features(self, batch: Batch) -> Tensor:
        """(B, Di); in training, products without a picture have no part in the batch statistics, and get zeros."""
        assert self.image is not None and batch.pictures is not None, "this model reads pictures"
        pictures, has_picture = batch.pictures, batch.has_picture
        if batch.pooling is not None:  # a frozen encoder's, or in evaluation: no batch statistics change
            return self.image(pictures, batch.pooling)
        if not self.training or has_picture is None or pictures.ndim == 2:
            return self.image(pictures)
        places = has_picture.nonzero().squeeze(1)
        # Batch normalisation needs two pictures; with several processes, each must have a gradient.
        if len(places) < 2:
            return self.image(pictures)
        found = self.image(pictures[places])
        return found.new_zeros(len(pictures), found.shape[1]).index_copy(0, places, found)

    def logits(self, features: Tensor) -> dict[str, Tensor]:
        """Task → (B, K) logits of features (B, D)."""
        return {task: self.heads[head_name(task)](features) for task in self.tasks}

    def has_input(
        self, count: int, has_picture: np.ndarray | None, has_title: np.ndarray | None
    ) -> np.ndarray:
        """(count,) whether each product has an input that this network reads; None: all have a picture, or a title."""
        found = np.zeros(count, bool)
        for encoder, there in ((self.image, has_picture), (self.text, has_title)):
            if encoder is not None:
                found |= True if there is None else there
        return found

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Task → (B, K) logits."""
        return self.classify(self.encode(batch), batch)

    def classify(self, encoded: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """As `forward`, of what `encode` gives."""
        return self.logits(self.dropout(self.fuse(encoded, batch)))

    def backbone_state(self) -> dict[str, Tensor]:
        """Weights that do not depend on the classes: all but the heads."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(HEADS)}

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Take over another stage's weights, but for the heads."""
        missing, unexpected = self.load_state_dict(dict(state), strict=False)
        wrong = [name for name in missing if not name.startswith(HEADS)] + unexpected
        if wrong:
            raise ValueError(f"backbone of another model: {wrong[:3]}")


def head_name(task: str) -> str:
    """The name of a task's module: the task, or one that torch accepts where a column has a name like `type` or `a.b`.

    >>> head_name("label"), head_name("type"), head_name("Product.Colour")
    ('label', 'column_type', 'column_Product%2EColour')
    """
    if task and "." not in task and not hasattr(nn.ModuleDict(), task):
        return task
    return f"column_{quote(task, safe='').replace('.', '%2E')}"


def linear_heads(dim: int, classes: Mapping[str, int]) -> dict[str, nn.Module]:
    """One linear layer a task: (B, dim) → (B, K)."""
    return {task: nn.Linear(dim, count) for task, count in classes.items()}


@torch.no_grad()
def count_parameters(module: nn.Module) -> int:
    """All parameters, frozen ones included."""
    return sum(p.numel() for p in module.parameters())
