"""Loads the networks of CLIP, SigLIP and SigLIP 2 by transformers, and reads how they want their pictures."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
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
NORMALISATION = "inception"  # of the pictures that these networks are given
INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}  # Pillow's number → name
REMEDY = (
    "set model.image.backbone to the name or the folder of a CLIP, SigLIP or SigLIP 2 model, or choose another "
    "model.image.library"
)


def options(backbone: str) -> dict[str, Any]:
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
    from transformers import AutoImageProcessor

    return AutoImageProcessor.from_pretrained(backbone, **options(backbone))


def channel_statistics(processor: Any) -> tuple[Any, Any]:
    """Mean and deviation of each channel."""
    if not getattr(processor, "do_normalize", True):
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return processor.image_mean, processor.image_std


def own_pictures(backbone: str) -> dict[str, Any]:
    """The settings below `pictures` that the preprocessor of a CLIP, SigLIP or SigLIP 2 has.

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
        crops = bool(known.get("do_center_crop"))
        if config.model_type == "siglip2":  # any shape of at most so many patches
            height = width = int(known["patch_size"]) * math.isqrt(int(known["max_num_patches"]))
        else:
            height = width = int(config.vision_config.image_size)
            size = known["crop_size"] if crops else known["size"]
            if any(size.get(side, height) != height for side in ("height", "width")):
                raise ValueError(
                    f"its preprocessor makes pictures of {size}, its network reads {height} x {width}"
                )
    return {
        "height": height, "width": width, "fit": "cover" if crops else "stretch",
        "interpolation": INTERPOLATIONS[resample], "normalisation": NORMALISATION,
    }  # fmt: skip


def check_aligned(weights: str, regions: int) -> None:
    """Raises SettingsError where settings of other libraries are given that these encoders do not have."""
    if weights not in ("imagenet", "none"):
        raise SettingsError(
            f"model.image.weights={weights}: a network of library=transformers has its own weights; leave "
            "model.image.weights out, or set model.image.backbone to another folder"
        )
    if regions > 1:
        raise SettingsError(
            f"model.image.regions={regions}: a network of library=transformers has no regions; set it to 1"
        )
