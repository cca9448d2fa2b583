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
from fusionclf.models.fusers import FUSERS
from fusionclf.models.product import ProductClassifier, linear_heads
from fusionclf.models.registry import register
from fusionclf.models.vocabulary import OpenVocabulary
from fusionclf.models.wide import WideTitles


class FusionParams(Section):
    """Settings of the fusion of picture and title."""

    image: ImageEncoderParams = ImageEncoderParams()
    text: TextEncoderParams = TextEncoderParams()
    fuser: Literal["concat", "gated", "late"] = Field(
        default="concat",
        description="concat, gated: one network of both; late: a picture network and the linear expert, blended",
    )
    hidden: int = Field(default=512, ge=1, description="width of the layer that sees both sides")
    image_gain: float = Field(default=0.2, gt=0, description="factor of the picture's normalised features")
    dropout: float = Field(default=0.2, ge=0, lt=1)
    wide: bool = Field(
        default=True, description="blend in a linear SVM on the title's n-grams (kind hashed or both)"
    )
    vocabulary: Literal["closed", "open"] = Field(
        default="closed",
        description="open: classes without a training row are scored by their names (fuser=late, text.kind=both)",
    )
    label_weight: float = Field(default=1.0, gt=0, description="factor of the label's loss")
    auxiliary: dict[str, float] = Field(
        default={}, description="further columns to predict: factor of their loss"
    )


@register("fusion", FusionParams, "picture + title → article type, in one network")
def build(params: FusionParams, classes: dict[str, int]) -> ProductClassifier:
    """Args: params: settings; classes: number of classes per task, auxiliary columns included."""
    if params.wide and params.text.kind == "transformer":
        raise SettingsError(
            "model.wide=true reads n-grams: set model.text.kind=hashed or both, or model.wide=false"
        )
    if params.fuser == "late" and not params.wide:
        raise SettingsError("model.fuser=late: the title is read by the linear expert; set model.wide=true")
    if params.vocabulary == "open" and (params.fuser, params.text.kind) != ("late", "both"):
        raise SettingsError(
            "model.vocabulary=open compares titles with class names by a sentence encoder: "
            "set model.fuser=late model.text.kind=both"
        )
    image = build_image_encoder(**params.image.model_dump())
    weights = {"label": params.label_weight, **params.auxiliary}
    if params.fuser == "late":
        sentence = None
        if params.text.kind == "both":
            sentence = build_transformer(params.text.model, params.text.pretrained, True, params.text.longest)
        wide = WideTitles(params.text.buckets, classes["label"], params.text.words, sentence)
        heads = linear_heads(image.dim, {task: classes[task] for task in weights})
        vocabulary = OpenVocabulary(classes["label"]) if params.vocabulary == "open" else None
        return ProductClassifier(image, None, None, heads, weights, params.dropout, wide, vocabulary)
    wide = WideTitles(params.text.buckets, classes["label"], params.text.words) if params.wide else None
    text = build_text_encoder(**params.text.model_dump())
    fuser = FUSERS[params.fuser](image.dim, text.dim, params.hidden, params.dropout, params.image_gain)
    heads = linear_heads(fuser.dim, {task: classes[task] for task in weights})
    return ProductClassifier(image, text, fuser, heads, weights, params.dropout, wide)
