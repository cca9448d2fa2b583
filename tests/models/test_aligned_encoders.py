"""CLIP, SigLIP and SigLIP 2 by folder: their embeddings, what pictures they want, and what cannot be loaded."""

import json
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from fusionclf.cli import app
from fusionclf.errors import SettingsError, WeightsError
from fusionclf.models.aligned_encoders import PROMPT, build_name_encoder
from fusionclf.models.aligned_sources import read_preprocessing
from fusionclf.models.backbones import ImageEncoderParams, build_image_encoder
from fusionclf.models.encoder_input import encoder_input
from tests.small import tiny_model
from tests.tiny_clip import CLASSES, SIDE, Kind, draw, write_tiny_clip

PICTURES = [draw(name, np.random.default_rng(5)) for name in CLASSES]


@pytest.fixture(scope="module", params=get_args(Kind))
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained model of each family."""
    return write_tiny_clip(tmp_path_factory.mktemp(request.param) / request.param, request.param, steps=0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """An untrained CLIP, to damage."""
    return write_tiny_clip(tmp_path / "clip", steps=0)


def build(folder: Path, **settings: Any) -> Any:
    return build_image_encoder("transformers", str(folder), **settings).eval()


def normalised(folder: Path) -> torch.Tensor:
    own = read_preprocessing(str(folder))
    pictures = torch.from_numpy(np.stack([np.asarray(picture) for picture in PICTURES]))
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (own.mean, own.deviation))
    return (pictures.permute(0, 3, 1, 2) / 255 - mean) / deviation


@torch.no_grad()
def test_embeddings_are_those_of_transformers(folder: Path) -> None:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    whole = AutoModel.from_pretrained(folder)
    inputs = AutoImageProcessor.from_pretrained(folder)(images=PICTURES, return_tensors="pt")
    expected = whole.get_image_features(**inputs).pooler_output
    assert torch.allclose(build(folder).network(normalised(folder)), expected, atol=1e-5)
    padding = True if folder.name == "clip" else "max_length"
    texts = [f"a photo of a {name}." for name in CLASSES]
    tokens = AutoTokenizer.from_pretrained(folder)(
        texts, padding=padding, truncation=True, max_length=16, return_tensors="pt"
    )
    embeddings = torch.nn.functional.normalize(whole.get_text_features(**tokens).pooler_output, dim=-1)
    found = build_name_encoder(str(folder), True, [PROMPT]).compute(CLASSES)
    assert np.allclose(found, embeddings.numpy(), atol=2e-3)  # its weights are rounded to half precision


@torch.no_grad()
def test_features_keep_the_direction_of_embeddings(folder: Path) -> None:
    encoder, pictures = build(folder), normalised(folder)
    features, embeddings = encoder(pictures), encoder.network(pictures)
    assert torch.allclose(features.square().mean(dim=1), torch.ones(len(pictures)), atol=1e-4)
    assert torch.allclose(torch.cosine_similarity(features, embeddings), torch.ones(len(pictures)), atol=1e-5)
    assert features.shape[1] == encoder.dim


def test_pictures_are_as_the_preprocessor_wants_them(folder: Path) -> None:
    found = encoder_input(ImageEncoderParams(library="transformers", backbone=str(folder)))
    by_kind = {
        "clip": ("clip", "bicubic"),
        "siglip": ("inception", "bicubic"),
        "siglip2": ("inception", "bilinear"),
    }
    assert (found.normalisation, found.interpolation) == by_kind[folder.name]
    assert (found.size, found.least) == (SIDE, SIDE)


def test_names_in_several_prompts_are_averaged(clip: Path) -> None:
    prompts = ["a photo of a {}.", "the {}"]
    each = [build_name_encoder(str(clip), True, [prompt]).compute(CLASSES) for prompt in prompts]
    mean = (each[0] + each[1]) / 2
    expected = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    assert np.allclose(build_name_encoder(str(clip), True, prompts).compute(CLASSES), expected, atol=1e-6)


def test_case_of_names_does_not_count(folder: Path) -> None:
    encoder = build_name_encoder(str(folder), True, [PROMPT])
    assert np.array_equal(encoder.compute(["Red Disc"]), encoder.compute(["red disc"]))


def test_frozen_stages_of_a_clip_are_not_trained(clip: Path) -> None:
    encoder = build(clip, frozen_stages=2)
    trained = {name for name, value in encoder.named_parameters() if value.requires_grad}
    assert not any("embeddings" in name or "layers.0." in name for name in trained)
    assert any("layers.1." in name for name in trained)
    with pytest.raises(SettingsError, match="has 3 stages"):
        build(clip, frozen_stages=4)


def test_a_model_of_another_family_is_refused(tiny_bert: Path) -> None:
    with pytest.raises(WeightsError, match=r"it is a bert model.*set model\.image\.backbone"):
        build(tiny_bert)


def test_weights_that_lack_a_tensor_are_refused(clip: Path) -> None:
    weights = load_file(clip / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, clip / "model.safetensors", {"format": "pt"})
    with pytest.raises(WeightsError, match=r"its weights lack visual_projection\.weight"):
        build(clip)


def test_a_folder_without_preprocessor_is_refused(clip: Path) -> None:
    (clip / "preprocessor_config.json").unlink()
    with pytest.raises(WeightsError, match="cannot be loaded"):
        build(clip)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"crop_size": {"height": 48, "width": 48}}, "its network reads 32 x 32"),
        ({"resample": 0}, "resample=0"),
    ],
)
def test_unknown_preprocessing_is_refused(clip: Path, change: dict[str, Any], message: str) -> None:
    file = clip / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(WeightsError, match=message):
        read_preprocessing(str(clip))


def test_settings_of_other_libraries_are_refused(clip: Path) -> None:
    with pytest.raises(SettingsError, match=r"weights=offline.*set model\.image\.weights=imagenet"):
        build(clip, weights="offline")
    with pytest.raises(SettingsError, match="regions=3"):
        build(clip, regions=3)


@pytest.mark.parametrize("prompt", ["a photo", "{} and {}"])
def test_a_prompt_needs_one_place_for_the_name(prompt: str) -> None:
    with pytest.raises(ValueError, match=r"needs \{\} once"):
        tiny_model("fusion", prompts=prompt)


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_one_line(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    words = ["train", "image", "--data", sample_dir, "--out", tmp_path / "run"]
    words += ["model.image.library=transformers", "model.image.backbone=openai/clip-vit-base-patch32"]
    result = CliRunner().invoke(app, list(map(str, words)))
    last = result.stderr.splitlines()[-1]
    assert result.exit_code == 2 and "openai/clip-vit-base-patch32" in last and "model.image.backbone" in last
    assert not (tmp_path / "run").exists()
