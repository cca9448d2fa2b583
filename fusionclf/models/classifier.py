"""The one shape that all variants have: encoders, a fuser, and a head for each task."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fusionclf.batches import Batch, TextBatch, TitleTable, joined_lengths
from fusionclf.models.encoders import ImageEncoder, JoinedTextEncoder, TextEncoder, part_of_titles
from fusionclf.models.fusers import MissingModality
from fusionclf.models.linear_text_model import WideTitles
from fusionclf.models.open_vocabulary.name_match_features import ClassNames
from fusionclf.models.open_vocabulary.stacked_head import Vocabulary

OF_EXPERT = ("wide.", "blend", "vocabulary.", "title_network.")  # what is fitted beside the network
OF_CLASSES = ("heads.", *OF_EXPERT)  # what belongs to one part's classes
TITLE_NETWORK = 2  # its place among the encoders of the title, after n-grams and sentences


class ProductClassifier(nn.Module):
    """Logits of each task from a product's picture, title, or both.

    Args:
        image: picture encoder, or None.
        text: title encoder, or None.
        fuser: joins the encoders' features, (B, Di) and (B, Dt) → (B, D); None with one encoder.
        heads: task → head, (B, D) → (B, K). The task `label` is the one that is scored.
        task_weights: factor of each task's loss.
        dropout: on the features before the heads.
        wide: a linear expert on the title, blended in when the model answers; it is no part of training.
        vocabulary: scores classes by their names too, in place of the blend; needs `wide` with a sentence encoder.
        missing: stands in for the features of a picture or a title that is not there; for a model with a fuser.
        title_network: a classifier of the title alone that was trained by itself; the vocabulary hears it, too.
    """

    blend: Tensor

    def __init__(
        self,
        image: ImageEncoder | None,
        text: TextEncoder | None,
        fuser: nn.Module | None,
        heads: Mapping[str, nn.Module],
        task_weights: Mapping[str, float],
        dropout: float = 0.0,
        wide: WideTitles | None = None,
        vocabulary: Vocabulary | None = None,
        missing: MissingModality | None = None,
        title_network: "ProductClassifier | None" = None,
    ) -> None:
        super().__init__()
        if (image is not None and text is not None) != (fuser is not None):
            raise ValueError("two encoders need a fuser, one encoder takes none")
        self.image = image
        self.text = text
        self.fuser = fuser
        self.missing = missing
        self.dropout = nn.Dropout(dropout)
        self.heads = nn.ModuleDict(dict(heads))
        self.task_weights = dict(task_weights)
        self.wide = wide
        self.vocabulary = vocabulary
        self.title_network = title_network
        self.names: ClassNames | None = None
        if wide is not None:  # factors of the network's and the expert's scores
            self.register_buffer("blend", torch.tensor([1.0, 0.0]))

    @property
    def title_encoder(self) -> TextEncoder | None:
        """Whose `prepare` turns titles into what this model reads; None for a model that reads none."""
        own = self.text if self.text is not None else self.wide and self.wide.reader
        if self.title_network is None:
            return own
        assert isinstance(own, JoinedTextEncoder) and len(own.encoders) == TITLE_NETWORK
        return JoinedTextEncoder([*own.encoders, self.title_network.text])  # pyright: ignore[reportArgumentType]

    def name_classes(
        self, names: Sequence[str], paths: Sequence[str], synonyms: Sequence[Sequence[str]] | None = None
    ) -> None:
        """Tell the vocabulary what its classes are called, and where they stand in the category graph."""
        assert self.wide is not None, "a vocabulary reads titles"
        self.names = ClassNames(names, paths, self.wide.embed, synonyms)

    def prepare_titles(self, titles: list[str]) -> TitleTable:
        """Titles as this model reads them."""
        assert self.title_encoder is not None, "this model reads no titles"
        table = self.title_encoder.prepare(titles)
        if self.vocabulary is None:
            return table
        assert self.names is not None, "name the classes before titles are prepared"
        return _JoinedTables((table, self.names.compare(titles)))

    def features(self, batch: Batch) -> Tensor:
        """(B, D) fused features."""
        parts: list[Tensor] = []
        if self.image is not None:
            assert batch.pictures is not None, "this model reads pictures"
            parts.append(self._image_features(batch.pictures, batch.has_picture))  # (B, Di)
        if self.text is not None:
            assert batch.titles is not None, "this model reads titles"
            parts.append(self.text(batch.titles))  # (B, Dt)
        if self.fuser is None:
            return parts[0]
        if self.missing is not None:
            parts = self.missing(*parts, batch.has_picture, batch.has_title)
        return self.fuser(*parts)

    def _image_features(self, pictures: Tensor, has_picture: Tensor | None) -> Tensor:
        """(B, Di); in training, products without a picture have no part in the batch statistics, and get zeros."""
        assert self.image is not None
        if not self.training or has_picture is None or pictures.ndim == 2:
            return self.image(pictures)
        places = has_picture.nonzero().squeeze(1)
        if (
            len(places) < 2
        ):  # batch normalisation needs two; with several processes, each must have a gradient
            return self.image(pictures)
        found = self.image(pictures[places])
        return found.new_zeros(len(pictures), found.shape[1]).index_copy(0, places, found)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Task → (B, K) logits."""
        features = self.dropout(self.features(batch))
        logits = {task: head(features) for task, head in self.heads.items()}
        if self.wide is not None and not self.training:
            assert batch.titles is not None, "this model reads titles"
            expert = self.wide(batch.titles)
            if self.vocabulary is None:
                logits["label"] = self._blend(logits["label"], expert, batch)
            else:
                logits["label"] = self.vocabulary(
                    features, expert, batch.titles["pairs"], self.wide.embedding(batch.titles),
                    batch.has_picture, batch.has_title, reads_titles=self.text is not None,
                    title_network=self._of_title(batch.titles),
                    head=logits["label"] if self.vocabulary.hears_head else None,
                )  # fmt: skip
        return logits

    def _of_title(self, titles: TextBatch) -> Tensor | None:
        """(B, K) logits of the title network, where there is one."""
        if self.title_network is None:
            return None
        return self.title_network(Batch(np.arange(0), None, part_of_titles(titles, TITLE_NETWORK), {}))[
            "label"
        ]

    def _blend(self, network: Tensor, expert: Tensor, batch: Batch) -> Tensor:
        """Both weighed; of a product without title the network alone, without picture the expert alone."""
        network, expert = self.blend[0] * network, self.blend[1] * expert
        if batch.has_title is not None:
            expert = expert * batch.has_title[:, None]
        if batch.has_picture is not None and self.text is None:
            network = network * batch.has_picture[:, None]
        return network + expert

    def backbone_state(self) -> dict[str, Tensor]:
        """Weights that do not depend on the classes: all but the heads, the expert and its blend."""
        return {name: value for name, value in self.state_dict().items() if not name.startswith(OF_CLASSES)}

    def load_backbone(self, state: Mapping[str, Tensor]) -> None:
        """Take over another stage's weights, but for the heads."""
        missing, unexpected = self.load_state_dict(dict(state), strict=False)
        wrong = [name for name in missing if not name.startswith(OF_CLASSES)] + unexpected
        if wrong:
            raise ValueError(f"backbone of another model: {wrong[:3]}")


class _JoinedTables:
    def __init__(self, tables: Sequence[TitleTable]) -> None:
        self.tables = tables

    def batch(self, rows: np.ndarray) -> TextBatch:
        return {name: tensor for table in self.tables for name, tensor in table.batch(rows).items()}

    def lengths(self) -> np.ndarray | None:
        return joined_lengths(self.tables)


class NetworkAlone(nn.Module):
    """The label's logits of a model's network, without expert and vocabulary."""

    def __init__(self, model: ProductClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"label": self.model.heads["label"](self.model.features(batch))}


class FeaturesAlone(nn.Module):
    """What a model's heads are given, in the place of logits."""

    def __init__(self, model: ProductClassifier) -> None:
        super().__init__()
        self.model = model

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        return {"label": self.model.features(batch)}


def linear_heads(dim: int, classes: Mapping[str, int]) -> dict[str, nn.Module]:
    """One linear layer a task: (B, dim) → (B, K)."""
    return {task: nn.Linear(dim, count) for task, count in classes.items()}


@torch.no_grad()
def count_parameters(module: nn.Module) -> int:
    """All parameters, frozen ones included."""
    return sum(p.numel() for p in module.parameters())
