"""Keys of caches name an encoder's tokenizer and architecture, the same in training and prediction."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import DistilBertConfig, DistilBertModel

from fusionclf.models.aligned_encoders import build_aligned_encoder
from fusionclf.models.architectures import picture_architecture
from fusionclf.models.backbones import build_image_encoder
from fusionclf.models.storage import load_model, save_model
from fusionclf.models.stored_bert import BertNetwork
from fusionclf.models.text_backbones import build_transformer
from fusionclf.models.text_encoders import TransformerEncoder
from tests.small import tiny_model

CASED = {"normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                        "strip_accents": None, "lowercase": False}}  # fmt: skip


@pytest.fixture
def bert(tiny_bert: Path, tmp_path: Path) -> Path:
    """A copy of the encoder that a test may change."""
    return Path(shutil.copytree(tiny_bert, tmp_path / "bert"))


def change(file: Path, **values: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def kept(folder: Path) -> Path:
    """Where the embeddings of an encoder's texts are kept."""
    return build_transformer(str(folder), frozen=True).open_kept("no").folder


def test_a_corrected_tokenizer_has_other_kept_texts(bert: Path) -> None:
    before = kept(bert)
    assert kept(bert) == before
    change(bert / "tokenizer.json", **CASED)
    change(bert / "tokenizer_config.json", do_lower_case=False)
    assert kept(bert) != before


@pytest.mark.parametrize(
    "values", [{"num_attention_heads": 4}, {"layer_norm_eps": 1e-5}, {"hidden_act": "relu"}]
)
def test_a_corrected_configuration_has_other_kept_texts(bert: Path, values: dict[str, Any]) -> None:
    before = kept(bert)
    change(bert / "config.json", **values)
    assert kept(bert) != before


def _encoders(bert: Path, folder: Path) -> tuple[TransformerEncoder, TransformerEncoder]:
    """The title encoder of a model, and that of the model when it was saved and loaded."""
    text = {"kind": "transformer", "model": str(bert), "frozen": True}
    variant, params, model = tiny_model("text", text=text)
    save_model(folder, "joint", model, {"label": ("a", "b", "c", "d")}, {"label": 1.0})
    loaded = load_model(folder, "joint", variant, params)
    trained, stored = model.text_encoder, loaded.text_encoder
    assert isinstance(trained, TransformerEncoder) and isinstance(stored, TransformerEncoder)
    return trained, stored


def _as_it_is(bert: Path) -> None:
    """Leave it."""


def _cased(bert: Path) -> None:
    change(bert / "tokenizer.json", **CASED)
    change(bert / "tokenizer_config.json", do_lower_case=False)


def _further_token(bert: Path) -> None:
    # The embedding of an unused place takes it.
    added = json.loads((bert / "tokenizer.json").read_text())["added_tokens"]
    change(
        bert / "tokenizer.json",
        added_tokens=[*added, {**added[0], "id": 8, "content": "shoe", "special": False}],
    )


def _cut(bert: Path) -> None:
    cut = {"max_length": 7, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    change(bert / "tokenizer.json", truncation=cut)
    change(bert / "tokenizer_config.json", model_max_length=7)


@pytest.mark.parametrize("prepare", [_as_it_is, _cased, _further_token, _cut])
def test_a_stored_encoder_has_the_key_of_training(bert: Path, tmp_path: Path, prepare: Any) -> None:
    prepare(bert)
    trained, stored = _encoders(bert, tmp_path / "run")
    assert isinstance(stored.network, BertNetwork)
    assert stored.embedding_key("no") == trained.embedding_key("no") != trained.embedding_key("bf16")


def test_an_encoder_of_another_kind_has_the_key_of_training(bert: Path, tmp_path: Path) -> None:
    config = DistilBertConfig(vocab_size=9, dim=16, n_layers=1, n_heads=2, hidden_dim=32)
    DistilBertModel(config).save_pretrained(bert)
    change(bert / "config.json", transformers_version="4.30.0", architectures=["DistilBertForMaskedLM"])
    trained, stored = _encoders(bert, tmp_path / "run")
    assert stored.embedding_key("no") == trained.embedding_key("no")


def test_backbones_of_equal_weights_are_told_apart() -> None:
    first, second = (
        build_image_encoder("timm", name, "none") for name in ("efficientnet_b0", "tf_efficientnet_b0")
    )
    shapes = [{name: each.shape for name, each in one.state_dict().items()} for one in (first, second)]
    assert shapes[0] == shapes[1]
    assert picture_architecture(first) != picture_architecture(second)


def test_a_corrected_clip_has_another_architecture(tiny_clip: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "clip"))
    before = picture_architecture(build_aligned_encoder(str(folder)))
    assert picture_architecture(build_aligned_encoder(str(folder))) == before
    vision = json.loads((folder / "config.json").read_text())["vision_config"]
    heads = 2 * vision["num_attention_heads"]
    change(folder / "config.json", vision_config={**vision, "num_attention_heads": heads})
    assert picture_architecture(build_aligned_encoder(str(folder))) != before
