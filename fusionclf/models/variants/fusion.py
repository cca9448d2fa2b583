"""`fusion`: a product's class from its picture and its title, in one network."""

from typing import Literal

from pydantic import Field

from fusionclf.config import Section
from fusionclf.errors import SettingsError
from fusionclf.models.backbones import (
    ImageEncoderParams,
    TextEncoderParams,
    build_image_encoder,
    build_text_encoder,
    build_transformer,
)
from fusionclf.models.classifier import ProductClassifier, linear_heads
from fusionclf.models.encoders import JoinedTextEncoder, TransformerEncoder
from fusionclf.models.fusers import FUSERS, MissingModality
from fusionclf.models.linear_text_model import WideTitles
from fusionclf.models.open_vocabulary.stacked_head import Vocabulary
from fusionclf.models.registry import register


class FusionParams(Section):
    """Settings of the fusion of picture and title."""

    image: ImageEncoderParams = ImageEncoderParams()
    text: TextEncoderParams = TextEncoderParams()
    fuser: Literal["concat", "gated", "attention", "late"] = Field(
        default="concat",
        description="concat, gated, attention: one network of both, and the linear expert beside it; late: a picture "
        "network and the linear expert",
    )
    hidden: int = Field(default=512, ge=1, description="width of the layer that sees both sides")
    image_gain: float = Field(default=0.2, gt=0, description="factor of the picture's normalised features")
    dropout: float = Field(default=0.2, ge=0, lt=1)
    modality_dropout: float = Field(
        default=0.1,
        ge=0,
        lt=1,
        description="share of training products that picture or title is hidden of, so that either alone will do",
    )
    wide: bool = Field(
        default=True, description="blend in a linear SVM on the title's n-grams (kind hashed or both)"
    )
    vocabulary: Literal["auto", "closed", "named", "open"] = Field(
        default="auto",
        description="open: classes without a training row are scored by their names (needs text.kind=both and wide); "
        "named: classes with training rows alone, by their names too (needs the same); closed: without names; "
        "auto: open where the catalog has classes without a training row, else named, closed where neither can be",
    )
    paths: bool = Field(
        default=True, description="open, named: a class's text names its place in the category graph, too"
    )
    synonyms: str | None = Field(
        default=None,
        description="open, named: what else classes are called; a YAML file, or the name of one of configs/synonyms "
        "(fashion)",
    )
    title_network: bool = Field(
        default=False,
        description="open, named: a copy of the sentence encoder is trained on the titles by itself, and heard beside "
        "the linear expert; see title_stage",
    )
    cross_fitted: bool = Field(
        default=False,
        description="named, late: three more picture networks are trained, each without a third of the brands, and the "
        "vocabulary learns by them how far the picture can be trusted; for pictures that are fine-tuned",
    )
    label_weight: float = Field(default=1.0, gt=0, description="factor of the label's loss")
    auxiliary: dict[str, float] = Field(
        default={}, description="further columns to predict: factor of their loss"
    )

    def settled(self, has_new_classes: bool, trained: int) -> "FusionParams":
        """With `vocabulary=auto` decided for a split: open only where a class has no training row.

        Args:
            has_new_classes: whether there is such a class.
            trained: how many classes of a stage have training rows, in that with the fewest.
        """
        if self.vocabulary != "auto":
            return self
        fits = [kind for kind in ("open", "named") if trained >= LEAST_CLASSES[kind] and self.reads_names]
        wanted = fits if has_new_classes else [kind for kind in fits if kind == "named"]
        return self.model_copy(update={"vocabulary": [*wanted, "closed"][0]})

    @property
    def reads_names(self) -> bool:
        """Whether classes are scored by their names; `auto` that is not settled: whether they can be."""
        if self.vocabulary == "auto":
            return self.text.kind == "both" and self.wide
        return self.vocabulary != "closed"


LEAST_CLASSES = {"open": 3, "named": 2}  # with training rows: two must be left where one is held out


@register("fusion", FusionParams, "picture + title → article type, in one network")
def build(params: FusionParams, classes: dict[str, int]) -> ProductClassifier:
    """Args: params: settings; classes: number of classes per task, auxiliary columns included."""
    if params.wide and params.text.kind == "transformer":
        raise SettingsError(
            "model.wide=true reads n-grams: set model.text.kind=hashed or both, or model.wide=false"
        )
    if params.fuser == "late" and not params.wide:
        raise SettingsError("model.fuser=late: the title is read by the linear expert; set model.wide=true")
    if params.reads_names and (params.text.kind != "both" or not params.wide):
        raise SettingsError(
            f"model.vocabulary={params.vocabulary} compares titles with class names by a sentence encoder: "
            "set model.text.kind=both model.wide=true"
        )
    if params.title_network and not params.reads_names:
        raise SettingsError(
            "model.title_network=true: is heard by a vocabulary of names; set model.vocabulary=named or open"
        )
    if params.cross_fitted and (params.fuser != "late" or params.vocabulary != "named"):
        raise SettingsError(
            "model.cross_fitted=true: is for a named vocabulary beside a picture network; set model.fuser=late "
            "model.vocabulary=named"
        )
    regions = params.image.regions
    if (params.fuser == "attention") != (regions > 1):
        raise SettingsError(
            f"model.image.regions={regions}, model.fuser={params.fuser}: attention needs a grid of 2 or more regions "
            "a side, the other fusers 1"
        )
    return _late(params, classes) if params.fuser == "late" else _joint(params, classes)


def _late(params: FusionParams, classes: dict[str, int]) -> ProductClassifier:
    """A picture network; the title is the linear expert's alone."""
    image = build_image_encoder(**params.image.model_dump())
    weights = {"label": params.label_weight, **params.auxiliary}
    sentences = None
    if params.text.kind == "both":
        sentences = build_transformer(params.text.model, params.text.pretrained, True, params.text.longest)
    wide = WideTitles(params.text.buckets, classes["label"], params.text.words, sentences)
    heads = linear_heads(image.dim, {task: classes[task] for task in weights})
    vocabulary = _vocabulary(params, classes["label"], image.dim, sentences)
    return ProductClassifier(
        image, None, None, heads, weights, params.dropout, wide, vocabulary,
        title_network=_title_network(params, classes["label"]),
    )  # fmt: skip


def _joint(params: FusionParams, classes: dict[str, int]) -> ProductClassifier:
    """One network of both, and the linear expert beside it."""
    image = build_image_encoder(**params.image.model_dump())
    weights = {"label": params.label_weight, **params.auxiliary}
    text = build_text_encoder(
        **{**params.text.model_dump(), "frozen": params.text.frozen or params.reads_names}
    )
    sentences = text.encoders[1] if params.reads_names and isinstance(text, JoinedTextEncoder) else None
    assert sentences is None or isinstance(sentences, TransformerEncoder)
    wide = None
    if params.wide:
        wide = WideTitles(params.text.buckets, classes["label"], params.text.words, sentences, shared=True)
    more = {"regions": params.image.regions} if params.fuser == "attention" else {}
    fuser = FUSERS[params.fuser](
        image.dim, text.dim, params.hidden, params.dropout, params.image_gain, **more
    )
    heads = linear_heads(fuser.dim, {task: classes[task] for task in weights})
    vocabulary = _vocabulary(params, classes["label"], fuser.dim, sentences)
    missing = MissingModality(image.dim, text.dim, params.modality_dropout)
    return ProductClassifier(
        image, text, fuser, heads, weights, params.dropout, wide, vocabulary, missing,
        _title_network(params, classes["label"]),
    )  # fmt: skip


def _vocabulary(
    params: FusionParams, classes: int, dim: int, sentences: TransformerEncoder | None
) -> Vocabulary | None:
    if not params.reads_names:
        return None
    assert sentences is not None
    return Vocabulary(
        classes, dim, sentences.dim, params.paths, params.vocabulary != "named", params.title_network,
        params.cross_fitted,
    )  # fmt: skip


def _title_network(params: FusionParams, classes: int) -> ProductClassifier | None:
    if not params.title_network:
        return None
    encoder = build_transformer(params.text.model, params.text.pretrained, longest=params.text.longest)
    return ProductClassifier(
        None, encoder, None, linear_heads(encoder.dim, {"label": classes}), {"label": 1.0}
    )
