"""What pictures an encoder's weights were trained with, by the libraries' own records; nothing is downloaded."""

import pytest

from fusionclf.errors import SettingsError
from fusionclf.models.backbones import ImageEncoderParams
from fusionclf.models.encoder_input import EncoderInput, encoder_input


@pytest.mark.parametrize(("library", "name", "expected"), [
    ("torchvision", "resnet50", (224, 1, "imagenet")),
    ("torchvision", "inception_v3", (299, 75, "imagenet")),
    ("torchvision", "vit_b_16", (224, 224, "imagenet")),
    ("timm", "tf_efficientnet_lite0", (224, 1, "inception")),
    ("timm", "vit_tiny_patch16_224", (224, 224, "inception")),
    ("timm", "vit_base_patch16_clip_224", (224, 224, "clip")),
    ("timm", "dpn68", (224, 1, None)),
])  # fmt: skip
def test_size_and_normalisation_are_those_of_the_weights(
    library: str, name: str, expected: tuple[int, int, str | None]
) -> None:
    params = ImageEncoderParams.model_validate({"library": library, "backbone": name})
    assert encoder_input(params) == EncoderInput(name, *expected)


@pytest.mark.parametrize(("name", "expected"), [
    ("test_resnet", (224, 1, "imagenet")), ("vit_small_patch14_dinov2", (518, 518, "imagenet")),
])  # fmt: skip
def test_without_weights_only_a_fixed_size_counts(name: str, expected: tuple[int, int, str]) -> None:
    params = ImageEncoderParams(library="timm", backbone=name, weights="none")
    assert encoder_input(params) == EncoderInput(name, *expected)


@pytest.mark.parametrize("library", ["torchvision", "timm"])
def test_an_unknown_backbone_is_refused(library: str) -> None:
    params = ImageEncoderParams.model_validate({"library": library, "backbone": "resnet5"})
    with pytest.raises(SettingsError, match=rf"unknown {library} backbone 'resnet5': did you mean"):
        encoder_input(params)
