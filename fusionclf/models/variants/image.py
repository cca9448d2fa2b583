"""`image`: a product's class from its picture, by one network (default: ResNet50, as in the reference project)."""

from pydantic import Field

from fusionclf.config import Section
from fusionclf.models.backbones import ImageEncoderParams, build_image_encoder
from fusionclf.models.classifier import ProductClassifier, linear_heads
from fusionclf.models.registry import Variant, register


class ImageParams(Section):
    """Settings of the picture classifier."""

    image: ImageEncoderParams = ImageEncoderParams()
    dropout: float = Field(default=0.0, ge=0, lt=1, description="on the features before the head")


def build(params: ImageParams, classes: dict[str, int]) -> ProductClassifier:
    """Args: params: settings; classes: number of classes per task."""
    encoder = build_image_encoder(**params.image.model_dump())
    heads = linear_heads(encoder.dim, {"label": classes["label"]})
    return ProductClassifier(encoder, None, None, heads, {"label": 1.0}, params.dropout)


register(
    Variant(
        "image",
        ImageParams,
        build,
        ("picture",),
        "image-classification",
        "picture → class, one network",
    )
)
