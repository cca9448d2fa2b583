"""Picture settings that are chosen when a run begins, from the catalog's pictures and the encoder's weights.

docs/experiments/picture-settings.md measures each choice on the train rows of four catalogs, and tells which of them
serve cost or comparability with published results rather than accuracy.
"""

from collections.abc import Mapping
from typing import Any

from fusionclf.catalog import Catalog
from fusionclf.catalog.picture_sizes import PictureSizes, sample_sizes
from fusionclf.config import CHOSEN, PictureSettings, RunConfig
from fusionclf.console import Console
from fusionclf.models import Variant
from fusionclf.models.backbones import ImageEncoderParams
from fusionclf.models.encoder_input import EncoderInput, encoder_input

# Small pictures are enlarged up to this factor. A choice for cost, by which Kaggle's catalog keeps its 128 x 96: frozen
# encoders gain 2 to 3 points more at the size of their weights, at three times the pixels.
ENLARGED = 1.6
STEP, SHORT_STEP = 32, 8  # the longer side becomes a multiple of STEP, the shorter of SHORT_STEP
LEAST_SAME = (
    0.8  # share of pictures of one shape from which the model's input has that shape, else it is square
)
LONGEST = 2.0  # the longer side over the shorter, at most
Chosen = dict[str, Any]


def resolve_pictures(
    variant: Variant,
    settings: RunConfig[Any],
    catalog: Catalog,
    begun: Mapping[str, Any] | None,
    console: Console,
) -> RunConfig[Any]:
    """The settings with every `pictures.*` that is null or `auto` chosen; given values are kept.

    Args:
        variant: of the run; without pictures as input, nothing is chosen.
        begun: `pictures` of the run that is resumed, whose values are used again; None for a new run.
        console: where each choice and its reason are printed.

    Raises:
        SettingsError: unknown backbone.
    """
    given = settings.pictures
    missing = [name for name in CHOSEN if getattr(given, name) in (None, "auto")]
    if not missing or "picture" not in variant.modalities:
        return settings
    begun = begun and {"interpolation": "bilinear", **begun}  # older runs have no such setting
    if begun is not None and all(begun.get(name) not in (None, "auto") for name in missing):
        chosen, reasons = {name: begun[name] for name in missing}, ["as the run was begun"]
    else:
        image = getattr(settings.model, "image", None)
        encoder = encoder_input(image) if isinstance(image, ImageEncoderParams) else EncoderInput()
        chosen, reasons = choose_pictures(given, sample_sizes(catalog), encoder)
        if encoder.normalisation is None and "normalisation" in missing:
            console.warn(
                f"{encoder.name}: its weights were trained with a normalisation that fusionclf does not know; set "
                "pictures.normalisation"
            )
    values = " ".join(f"pictures.{name}={chosen[name]}" for name in missing)
    console.info(f"{values}: {'; '.join(reasons)}")
    pictures = PictureSettings.model_validate({**given.model_dump(), **chosen})
    return settings.model_copy(update={"pictures": pictures})


def choose_pictures(
    given: PictureSettings, sizes: PictureSizes, encoder: EncoderInput
) -> tuple[Chosen, list[str]]:
    """A value for each setting that is null or `auto`, and the reasons.

    Args:
        given: values of the user, which stay.
        sizes: of the catalog's pictures.
        encoder: what its weights were trained with.
    """
    chosen: Chosen = {}
    reasons = [_described(sizes)]
    if given.height is None or given.width is None:
        height, width = _size(given, sizes, encoder)
        chosen |= {"height": height} if given.height is None else {}
        chosen |= {"width": width} if given.width is None else {}
        reasons.append(f"{encoder.name} was trained at {encoder.size} x {encoder.size}")
    if given.fit == "auto":
        chosen["fit"] = "stretch"  # as good as white margins, and better than cutting
    if given.interpolation == "auto":
        chosen["interpolation"] = encoder.interpolation
    if given.normalisation == "auto":
        chosen["normalisation"] = encoder.normalisation or "imagenet"
        known = f"is {encoder.normalisation}" if encoder.normalisation else "is not known"
        reasons.append(f"its normalisation {known}")
    return chosen, reasons


def _described(sizes: PictureSizes) -> str:
    if not sizes.count:
        return "no picture can be read"
    shape = f"{100 * sizes.same_shape:.0f} % of {sizes.count} sampled pictures have the same shape"
    square = "" if sizes.same_shape >= LEAST_SAME else ", so a square"
    return f"the catalog's pictures are {sizes.height} x {sizes.width} in the median (height x width), {shape}{square}"


def _size(given: PictureSettings, sizes: PictureSizes, encoder: EncoderInput) -> tuple[int, int]:
    """Height and width; one that is given stays, and the other follows from the shape."""
    if encoder.least >= encoder.size:  # it reads no other size
        return given.height or encoder.size, given.width or encoder.size
    shape = _shape(sizes)
    if given.height is not None:
        return given.height, _short(given.height * shape, encoder)
    if given.width is not None:
        return _short(given.width / shape, encoder), given.width
    longer = encoder.size
    if sizes.count:
        enlarged = -int(-ENLARGED * sizes.longer // STEP) * STEP  # rounded up
        longer = max(min(longer, enlarged), encoder.least)
    shorter = _short(longer * min(shape, 1 / shape), encoder)
    return (longer, shorter) if shape < 1 else (shorter, longer)


def _shape(sizes: PictureSizes) -> float:
    """Width over height of the model's input."""
    if not sizes.count or sizes.same_shape < LEAST_SAME:
        return 1.0
    return min(max(sizes.width / sizes.height, 1 / LONGEST), LONGEST)


def _short(side: float, encoder: EncoderInput) -> int:
    """A side as a multiple of SHORT_STEP that the encoder reads."""
    return min(max(round(side / SHORT_STEP) * SHORT_STEP, encoder.least, 16), 4096)
