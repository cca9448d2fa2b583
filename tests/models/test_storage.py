"""A stored model that is damaged is refused in one line, before it fills the memory."""

import json
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from fusionclf.errors import RunError
from fusionclf.models import Variant
from fusionclf.models.added_classes import ADDED, AddedClass, read_added, write_added
from fusionclf.models.storage import load_model, save_model
from tests.small import tiny_model


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, Variant, Any]:
    """Folder, variant and parameters of a stored title model."""
    variant, params, model = tiny_model("text")
    save_model(tmp_path, "top20", model, {"label": ("a", "b", "c", "d")}, {"label": 1.0})
    return tmp_path, variant, params


@pytest.fixture
def with_transformer(tmp_path: Path, tiny_bert: Path) -> tuple[Path, Variant, Any]:
    """The same with a transformer as title encoder."""
    variant, params, model = tiny_model("text", text={"kind": "transformer", "model": str(tiny_bert)})
    save_model(tmp_path, "top20", model, {"label": ("a", "b", "c", "d")}, {"label": 1.0})
    return tmp_path, variant, params


def refused(stored: tuple[Path, Variant, Any]) -> str:
    """The one line with which a model is refused, within 200 MiB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RunError) as error:
        load_model(stored[0], "top20", stored[1], stored[2])
    message = str(error.value)
    assert message.startswith(str(stored[0])) and "\n" not in message and len(message) <= 400
    assert message.endswith("train again with --overwrite")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024
    return message


LABELS: list[tuple[Any, str]] = [
    ({}, "labels.json: Dictionary should have at least 1 item"),
    ([], "labels.json: Input should be"),
    ({"top20": []}, "labels.json: top20"),
    ({"top20": {"temperature": 1.0}}, "top20.classes: is missing"),
    ({"top20": {"classes": ["a"], "temperature": 1.0}}, "top20.classes"),
    ({"top20": {"classes": {"label": "abcd"}, "temperature": 1.0}}, "top20.classes.label"),
    ({"top20": {"classes": {"label": [1, 2, 3, 4]}, "temperature": 1.0}}, "top20.classes.label.0"),
    ({"top20": {"classes": {"label": ["a", "a", "b", "c"]}, "temperature": 1.0}}, "a name occurs twice"),
    ({"top20": {"classes": {"usage": ["a"]}, "temperature": 1.0}}, "top20: classes lacks 'label'"),
    ({"top20": {"classes": {"label": ["a", "b", "c"]}, "temperature": 1.0}}, "heads.label.weight"),
    ({"top20": {"classes": {"label": ["a", "b", "c", "d"]}, "temperature": 0}}, "top20.temperature"),
    ({"top20": {"classes": {"label": ["a", "b", "c", "d"]}, "temperature": "1"}}, "top20.temperature"),
]


@pytest.mark.parametrize(("labels", "message"), LABELS)
def test_odd_labels_are_refused_by_field(
    stored: tuple[Path, Variant, Any], labels: object, message: str
) -> None:
    (stored[0] / "labels.json").write_text(json.dumps(labels))
    assert message in refused(stored)


@pytest.mark.parametrize(
    "text",
    [{"buckets": 2**26, "dim": 10**9}, {"buckets": 2**26, "dim": 256}, {"buckets": 4096, "dim": 10**6}],
)
def test_settings_of_a_huge_model_are_refused(
    stored: tuple[Path, Variant, Any], text: dict[str, int]
) -> None:
    folder, variant, _ = stored
    assert "no model can be built" in refused(
        (folder, variant, variant.params.model_validate({"text": text}))
    )


@pytest.mark.parametrize(
    "huge",
    [
        {"hidden_size": 2**20},
        {"vocab_size": 10**9},
        {"num_hidden_layers": 10**9},
        {"intermediate_size": 10**8},
        {"max_position_embeddings": 10**9},
    ],
)
def test_a_huge_title_encoder_is_refused(with_transformer: tuple[Path, Variant, Any], huge: dict) -> None:
    file = with_transformer[0] / "text" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **huge}))
    refused(with_transformer)


@pytest.mark.parametrize(
    "odd",
    [
        {"hidden_size": "x"},
        {"hidden_size": -1},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"hidden_act": "nothing"},
        {"model_type": "nothing"},
        {"vocab_size": 3},
        {"auto_map": {"AutoModel": "run.Model"}, "model_type": "own"},
    ],
)
def test_an_odd_title_encoder_is_refused(with_transformer: tuple[Path, Variant, Any], odd: dict) -> None:
    file = with_transformer[0] / "text" / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **odd}))
    refused(with_transformer)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
@pytest.mark.parametrize("text", ["", "[]", '{"sep_token": 7, "cls_token": []}', "[" * 100_000])
def test_a_damaged_file_of_the_title_encoder_is_refused(
    with_transformer: tuple[Path, Variant, Any], name: str, text: str
) -> None:
    (with_transformer[0] / "text" / name).write_text(text)
    refused(with_transformer)


def test_a_missing_title_encoder_is_refused(with_transformer: tuple[Path, Variant, Any]) -> None:
    (with_transformer[0] / "text").rename(with_transformer[0] / "elsewhere")
    assert "text: no such folder" in refused(with_transformer)


@pytest.mark.parametrize("damage", [lambda f: f.unlink(), lambda f: f.write_bytes(b""), lambda f: _folder(f)])
def test_damaged_weights_are_refused(
    stored: tuple[Path, Variant, Any], damage: Callable[[Path], object]
) -> None:
    damage(stored[0] / "top20.safetensors")
    assert "top20.safetensors" in refused(stored)


def _folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def test_a_declared_huge_tensor_is_refused(stored: tuple[Path, Variant, Any]) -> None:
    header = json.dumps(
        {"heads.label.weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}
    )
    data = len(header).to_bytes(8, "little") + header.encode()
    (stored[0] / "top20.safetensors").write_bytes(data)
    assert "top20.safetensors: cannot be used" in refused(stored)


def test_added_classes_are_read_as_written(tmp_path: Path) -> None:
    added = [AddedClass("Kite", ("Toys",), torch.ones(3), None, 2, ("Dragon",)), AddedClass("Yo-yo")]
    write_added(tmp_path, "joint", added)
    first, second = read_added(tmp_path, "joint")
    assert (first.name, first.place, first.count, first.synonyms) == ("Kite", ("Toys",), 2, ("Dragon",))
    assert first.title_prototype is not None and torch.equal(first.title_prototype, torch.ones(3))
    assert second == added[1]


KITE = {"name": "Kite", "place": [], "synonyms": [], "count": 0}


@pytest.mark.parametrize(
    "listing",
    [
        "[",
        "[]",
        json.dumps({"joint": {}}),
        json.dumps({"../x": []}),
        json.dumps({"joint": [{**KITE, "name": 7}]}),
        json.dumps({"joint": [{**KITE, "name": ""}]}),
        json.dumps({"joint": [{**KITE, "count": -1}]}),
        json.dumps({"joint": [{**KITE, "place": "Toys"}]}),
        json.dumps({"joint": [KITE, KITE]}),
        "[" * 100_000,
        json.dumps({"joint": []}),
    ],
)
def test_an_odd_listing_of_added_classes_is_refused(tmp_path: Path, listing: str) -> None:
    save_file({"joint.0.title": torch.ones(3)}, tmp_path / ADDED, {"classes": listing})
    with pytest.raises(RunError, match=r"added\.safetensors: .*remove the file and add the classes again"):
        read_added(tmp_path, "joint")
