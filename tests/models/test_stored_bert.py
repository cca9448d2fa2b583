"""A stored BERT is read without transformers, and computes the same."""

import json
from pathlib import Path

import pytest
import torch

from fusionclf.models.stored_bert import read_stored_bert
from fusionclf.models.text_backbones import build_transformer

TITLES = ["Women Red Dress", "red", "", "Ünïcode é 日本", "dress " * 40, "shirt [SEP] (blue)\t2x"]


@pytest.fixture
def stored(tiny_bert: Path, tmp_path: Path) -> Path:
    build_transformer(str(tiny_bert)).save_configuration(tmp_path)
    return tmp_path


def test_embeddings_and_tokens_are_those_of_transformers(tiny_bert: Path, stored: Path) -> None:
    theirs = build_transformer(str(tiny_bert), longest=16).eval()
    found = read_stored_bert(stored)
    assert found is not None
    network, tokenizer = found
    network.load_state_dict(theirs.network.state_dict())
    tokens = [theirs.tokeniser(TITLES, longest).tokens for longest in (8, 16)]
    assert [tokenizer(TITLES, True, longest)["input_ids"] for longest in (8, 16)] == tokens
    batch = theirs.tokeniser(TITLES).batch(range(len(TITLES)))  # pyright: ignore[reportArgumentType]
    expected = theirs(batch)
    theirs.network = network.eval()
    assert torch.allclose(theirs(batch), expected, atol=1e-6)


@pytest.mark.parametrize("change", [{"model_type": "roberta"}, {"hidden_act": "relu"}, {"is_decoder": True}])
def test_an_encoder_of_another_kind_is_left_to_transformers(stored: Path, change: dict[str, object]) -> None:
    file = stored / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    assert read_stored_bert(stored) is None


def test_a_folder_without_a_configuration_is_no_bert(tmp_path: Path) -> None:
    assert read_stored_bert(tmp_path) is None
