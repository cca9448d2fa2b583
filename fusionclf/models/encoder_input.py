"""The pictures that a picture encoder's weights were trained with: their size and normalisation."""

from dataclasses import dataclass

from fusionclf.batches import STATISTICS
from fusionclf.models.aligned_sources import read_preprocessing
from fusionclf.models.backbones import ImageEncoderParams, check_backbone


@dataclass(frozen=True)
class EncoderInput:
    """What a picture encoder's own configuration says.

    Attributes:
        name: of the encoder, for messages.
        size: height and width in pixels that its weights were trained with.
        least: the shortest side that it reads; `size` where it reads no other.
        normalisation: one of STATISTICS; None where it is none of them.
        interpolation: how pictures were resized, as far as that counts: pictures and texts of an aligned model are
            compared as they were in training.
        reads_texts: whether it is the picture network of an aligned model.
    """

    name: str = "the encoder"
    size: int = 224
    least: int = 1
    normalisation: str | None = "imagenet"
    interpolation: str = "bilinear"
    reads_texts: bool = False


def encoder_input(params: ImageEncoderParams) -> EncoderInput:
    """What a picture encoder was trained with; without weights, 224 pixels and ImageNet's statistics.

    A .safetensors file is taken to have been trained as the library's own weights.

    Raises:
        SettingsError: unknown backbone.
        WeightsError: the preprocessor of a network of transformers cannot be loaded.
    """
    if params.library == "transformers":
        return _aligned_input(params.backbone)
    check_backbone(params.library, params.backbone)
    own = _torchvision_input if params.library == "torchvision" else _timm_input
    found = own(params.backbone)
    if params.weights != "none":
        return found
    return EncoderInput(found.name, found.size if found.least >= found.size else 224, found.least)


def _torchvision_input(name: str) -> EncoderInput:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT  # pyright: ignore[reportAttributeAccessIssue]
    steps = weights.transforms()
    size = max(getattr(steps, "crop_size", (224,)))
    mean, std = getattr(steps, "mean", ()), getattr(steps, "std", ())
    return EncoderInput(name, size, max(weights.meta.get("min_size", (1,))), _named(mean, std))


def _timm_input(name: str) -> EncoderInput:
    import timm

    known = timm.get_pretrained_cfg(name)
    if known is None:  # an architecture without any published weights
        return EncoderInput(name)
    size = max(known.input_size[1:])
    least = size if known.fixed_input_size else max((known.min_input_size or (3, 1, 1))[1:])
    return EncoderInput(name, size, least, _named(known.mean, known.std))


def _aligned_input(name: str) -> EncoderInput:
    own = read_preprocessing(name)
    return EncoderInput(name, own.size, own.size, _named(own.mean, own.deviation), own.interpolation, True)


def _named(mean: object, std: object) -> str | None:
    """The name of these statistics."""
    return next((name for name, known in STATISTICS.items() if known == (_tuple(mean), _tuple(std))), None)


def _tuple(values: object) -> tuple[float, ...]:
    return tuple(map(float, values))  # pyright: ignore[reportArgumentType]
