"""`multitask`: one picture network with a head for the class and one for each auxiliary column."""

from pydantic import Field

from fusionclf.config import Section
from fusionclf.models.backbones import ImageEncoderParams, build_image_encoder
from fusionclf.models.classifier import ProductClassifier, linear_heads
from fusionclf.models.registry import Variant, register


class MultitaskParams(Section):
    """Settings of the multitask picture classifier; the weights are the reference's."""

    image: ImageEncoderParams = ImageEncoderParams()
    dropout: float = Field(default=0.0, ge=0, lt=1, description="on the features before the heads")
    label_weight: float = Field(default=2.0, gt=0, description="factor of the label's loss")
    auxiliary: dict[str, float] = Field(
        default={"masterCategory": 0.5, "subCategory": 0.5},
        description="further columns of the catalog's table to predict: column → factor of its loss",
    )


def build(params: MultitaskParams, classes: dict[str, int]) -> ProductClassifier:
    """Args: params: settings; classes: number of classes per task, auxiliary columns included."""
    encoder = build_image_encoder(**params.image.model_dump())
    weights = {"label": params.label_weight, **params.auxiliary}
    heads = linear_heads(encoder.dim, {task: classes[task] for task in weights})
    return ProductClassifier(encoder, None, None, heads, weights, params.dropout)


register(
    Variant(
        "multitask",
        MultitaskParams,
        build,
        ("picture",),
        "image-classification",
        "picture → class, categories and other columns",
    )
)
