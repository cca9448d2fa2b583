"""`text`: a product's class from its title alone, with the encoder that `fusion` uses."""

from pydantic import Field

from fusionclf.config import Section
from fusionclf.models.backbones import TextEncoderParams, build_text_encoder
from fusionclf.models.classifier import ProductClassifier, linear_heads
from fusionclf.models.registry import Variant, register


class TextParams(Section):
    """Settings of the title classifier."""

    text: TextEncoderParams = TextEncoderParams()
    dropout: float = Field(default=0.2, ge=0, lt=1, description="on the features before the head")


def build(params: TextParams, classes: dict[str, int]) -> ProductClassifier:
    """Args: params: settings; classes: number of classes per task."""
    encoder = build_text_encoder(params.text)
    heads = linear_heads(encoder.dim, {"label": classes["label"]})
    return ProductClassifier(None, encoder, None, heads, {"label": 1.0}, params.dropout)


register(Variant("text", TextParams, build, ("title",), "text-classification", "title → class"))
