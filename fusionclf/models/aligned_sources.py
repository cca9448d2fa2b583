"""Loads the networks of CLIP, SigLIP and SigLIP 2 by transformers, and reads how they want their pictures."""

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fusionclf.errors import SettingsError, WeightsError

# Kind of a model's configuration → transformers' classes of its picture network and its text network.
TOWERS = {
    "clip": ("CLIPVisionModelWithProjection", "CLIPTextModelWithProjection"),
    "siglip": ("SiglipVisionModel", "SiglipTextModel"),
    "siglip2": ("Siglip2VisionModel", "Siglip2TextModel"),
}
INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}  # Pillow's number → name
REMEDY = (
    "set model.image.backbone to the name or the folder of a CLIP, SigLIP or SigLIP 2 model, or choose another "
    "model.image.library"
)


def options(backbone: str) -> dict[str, Any]:
    """What every `from_pretrained` is given."""
    return {"local_files_only": Path(backbone).is_dir(), "trust_remote_code": False}


def read_configuration(backbone: str) -> Any:
    """The configuration of the whole model."""
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(backbone, **options(backbone))
    if config.model_type not in TOWERS:
        raise ValueError(f"it is a {config.model_type} model")
    if config.model_type == "clip":  # the width of the whole model counts, as in CLIPModel
        config.vision_config.projection_dim = config.text_config.projection_dim = config.projection_dim
    return config


def load_tower(backbone: str, config: Any, which: int, pretrained: bool) -> Any:
    """The picture network (0) or the text network (1), in float32."""
    import transformers

    kind = getattr(transformers, TOWERS[config.model_type][which])
    own = (config.vision_config, config.text_config)[which]
    if not pretrained:
        return kind(own)
    network, loading = kind.from_pretrained(
        backbone, config=own, dtype=torch.float32, use_safetensors=True, output_loading_info=True,
        **options(backbone),
    )  # fmt: skip
    if missing := sorted([*loading["missing_keys"], *loading["mismatched_keys"]]):
        raise ValueError(f"its weights lack {missing[0]}")
    return network


@contextmanager
def explained(backbone: str) -> Iterator[None]:
    """Within it, whatever loading raises becomes one line with the remedy, and loading prints nothing."""
    from transformers.utils import logging as transformers_logging

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # its client logs each retry
    transformers_logging.disable_progress_bar()
    before = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    try:
        yield
    except Exception as error:  # a damaged folder has transformers raise errors of many kinds
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"picture encoder {backbone!r} cannot be loaded ({reason[:160]}); {REMEDY}"
        ) from error
    finally:
        transformers_logging.set_verbosity(before)


def read_processor(backbone: str) -> Any:
    """The image processor."""
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(backbone, **options(backbone))


@dataclass(frozen=True)
class Preprocessing:
    """What an image processor makes of pictures.

    Attributes:
        size: height and width in pixels.
        mean, deviation: of each channel.
        interpolation: how it resizes.
    """

    size: int
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    interpolation: str


def read_preprocessing(backbone: str) -> Preprocessing:
    """That of a CLIP, SigLIP or SigLIP 2; of one for any shape, a square.

    Args:
        backbone: a hub name or a folder.

    Raises:
        WeightsError: it cannot be loaded, or prepares pictures in a way that is not known here.
    """
    with explained(backbone):
        config, known = read_configuration(backbone), read_processor(backbone).to_dict()
        if (resample := int(known.get("resample", 3))) not in INTERPOLATIONS:
            raise ValueError(
                f"its preprocessor has resample={resample}; 2 (bilinear) and 3 (bicubic) are known here"
            )
        mean, deviation = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if known.get("do_normalize", True):
            mean, deviation = tuple(known["image_mean"]), tuple(known["image_std"])
        return Preprocessing(picture_side(config, known), mean, deviation, INTERPOLATIONS[resample])


def picture_side(config: Any, processor: Mapping[str, Any]) -> int:
    """Height and width of the pictures that a network and its image processor take."""
    if config.model_type == "siglip2":  # it reads any shape of so many patches at most
        return int(processor["patch_size"]) * math.isqrt(int(processor["max_num_patches"]))
    side = int(config.vision_config.image_size)
    made = processor["crop_size"] if processor.get("do_center_crop") else processor["size"]
    if any(made.get(name, side) != side for name in ("height", "width")):
        raise ValueError(f"its preprocessor makes pictures of {made}, its network reads {side} x {side}")
    return side


def check_aligned(weights: str, regions: int) -> None:
    """Raises SettingsError where settings of other libraries are given that these encoders do not have."""
    if weights not in ("imagenet", "none"):
        raise SettingsError(
            f"model.image.weights={weights}: a network of library=transformers has its own weights; set "
            "model.image.weights=imagenet, and model.image.backbone to another folder for others"
        )
    if regions > 1:
        raise SettingsError(
            f"model.image.regions={regions}: a network of library=transformers has no regions; set it to 1"
        )
