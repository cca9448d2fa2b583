"""A base model with a linear text model beside it, and a head that combines both."""

from collections.abc import Sequence

import pandas as pd
import torch
from torch import Tensor, nn

from fusionclf.batches import Batch, MergedTitles, TitleTable
from fusionclf.catalog.fields import main_texts
from fusionclf.models.classifier import ProductClassifier
from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.linear_text_model import LinearTextModel
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH, ClassNames
from fusionclf.models.open_vocabulary.name_words import LANGUAGE
from fusionclf.models.open_vocabulary.picture_match import PictureMatch
from fusionclf.models.outputs import BaseOutputs
from fusionclf.models.text_encoders import TextEncoder


class WeightedSum(nn.Module):
    """The weighted sum of the logits of the base model and the linear text model, (B, C).

    A product without a title is scored by the base model alone; one without a picture by the linear text model alone,
    where the base model reads no titles.

    Source: late fusion; Cheng et al., Wide & Deep Learning for Recommender Systems (2016), section 3.
    """

    weights: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("weights", torch.tensor([1.0, 0.0]))

    def forward(self, outputs: BaseOutputs) -> Tensor:
        base, linear_text = self.weights[0] * outputs.logits, self.weights[1] * outputs.linear_text
        if outputs.has_title is not None:
            linear_text = linear_text * outputs.has_title[:, None]
        if outputs.has_picture is not None and not outputs.base_reads_titles:
            base = base * outputs.has_picture[:, None]
        return base + linear_text


class StackedClassifier(nn.Module):
    """Logits of each task; those of `label` combine the base model and the linear text model.

    The base model is trained first, by itself; then the linear text model and the head are fitted.

    Args:
        base: encoders, a fuser and heads.
        linear_text_model: scores titles.
        head: BaseOutputs → (B, C); a WeightedSum or a StackedHead.
        picture_match: compares pictures with class names; None where the picture encoder has no text network.
    """

    def __init__(
        self,
        base: ProductClassifier,
        linear_text_model: LinearTextModel,
        head: nn.Module,
        picture_match: PictureMatch | None = None,
    ) -> None:
        super().__init__()
        self.base = base
        self.linear_text_model = linear_text_model
        self.head = head
        self.picture_match = picture_match
        self.class_names: ClassNames | None = None

    @property
    def image(self) -> ImageEncoder | None:
        """The picture encoder."""
        return self.base.image

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks of the base model."""
        return self.base.tasks

    @property
    def text_encoder(self) -> TextEncoder:
        """The encoder whose `prepare` gives the tensors that this model reads."""
        return self.base.text if self.base.text is not None else self.linear_text_model.text_encoder

    def name_classes(
        self,
        names: Sequence[str],
        paths: Sequence[str],
        synonyms: Sequence[Sequence[str]] | None = None,
        language: str = LANGUAGE,
    ) -> None:
        """Set the names of the classes, their language, and their places in the category graph."""
        embed = self.linear_text_model.embed
        self.set_class_names(ClassNames(names, paths, embed, synonyms, language=language))

    def set_class_names(self, class_names: ClassNames) -> None:
        """Compare titles, and where the picture encoder can do so pictures, with these names."""
        self.class_names = class_names
        if self.picture_match is not None:
            self.picture_match.name_classes(class_names.names, class_names.synonyms)

    def prepare_fields(self, fields: pd.DataFrame) -> TitleTable:
        """The fields of n products as tensors; where the classes are named, with name-match features."""
        table, names = self.text_encoder.prepare_fields(fields), self.compare_names(fields)
        return table if names is None else MergedTitles([table, names])

    def compare_names(self, fields: pd.DataFrame) -> TitleTable | None:
        """The name-match features of n products; None where the classes are not named."""
        return None if self.class_names is None else self.class_names.compare(self.main_texts(fields))

    def main_texts(self, fields: pd.DataFrame) -> list[str]:
        """What is compared with class names: each product's title, or where it has none its first further text."""
        readers = self.linear_text_model.readers
        return main_texts(fields, () if readers is None else readers.fields.text)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Task → (B, K) logits."""
        return self.classify(self.base.encode(batch), batch)

    def classify(self, encoded: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """As `forward`, of what the base model's `encode` gives."""
        assert batch.titles is not None, "this model reads titles"
        features = self.base.fuse(encoded, batch)  # (B, D)
        logits = self.base.logits(features)
        name_match = batch.titles.get(NAME_MATCH)
        outputs = BaseOutputs(
            features, logits["label"], self.linear_text_model(batch.titles),
            batch.has_picture, batch.has_title, self.base.text is not None,
            None if name_match is None else self.linear_text_model.embedding(batch.titles), name_match,
            None if self.picture_match is None else self.picture_match(encoded[0]),
        )  # fmt: skip
        return {**logits, "label": self.head(outputs)}


def base_model(model: "ProductClassifier | StackedClassifier") -> ProductClassifier:
    """The network of a model, which is trained first."""
    return model.base if isinstance(model, StackedClassifier) else model
