"""`text`: a product's class from its title, further texts and attributes, with the text encoders of `fusion`."""

from pydantic import Field

from fusionclf.catalog.fields import Fields
from fusionclf.config import Section
from fusionclf.models.classifier import ProductClassifier, linear_heads
from fusionclf.models.registry import Variant, register
from fusionclf.models.text_backbones import TextEncoderParams, build_text_encoder


class TextParams(Section):
    """Settings of the text classifier."""

    text: TextEncoderParams = TextEncoderParams()
    dropout: float = Field(default=0.2, ge=0, lt=1, description="on the features before the head")


def build(params: TextParams, classes: dict[str, int], fields: Fields = Fields()) -> ProductClassifier:  # noqa: B008
    """A classifier of the title and further fields.

    Args:
        params: settings.
        classes: number of classes of each task.
        fields: names of further texts and attributes.
    """
    encoder = build_text_encoder(params.text, fields)
    heads = linear_heads(encoder.dim, {"label": classes["label"]})
    return ProductClassifier(None, encoder, None, heads, {"label": 1.0}, params.dropout)


register(
    Variant("text", TextParams, build, ("title",), "text-classification", "title → class", reads_fields=True)
)
