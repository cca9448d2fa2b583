"""Packed weights come back bit for bit, and a damaged description of them is refused."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fusionclf.errors import RunError
from fusionclf.models import packing
from fusionclf.models.encoders import PretrainedEncoder
from fusionclf.models.packing import PACKED, pack, round_tensor_to_half
from fusionclf.models.storage import read_shapes
from fusionclf.models.weights import load_weights, save_weights


def mostly_zeros(*shape: int) -> Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    return torch.where(values > 1.5, values, 0.0)


TENSORS = {
    "dense": torch.randn(40, 30),
    "half": torch.randn(40, 30).half().float(),
    "table": mostly_zeros(500, 62),
    "wide": mostly_zeros(40, 70_000),
    "kernel": mostly_zeros(40, 3, 3, 3),
    "vector": mostly_zeros(5000),
    "minus": torch.zeros(500, 9).index_fill(0, torch.tensor([3]), -0.0),
    "empty": torch.zeros(100, 100),
    "not finite": torch.full((40, 30), torch.inf),
    "double": mostly_zeros(500, 9).double(),
    "count": torch.arange(600),
    "own half": torch.ones(40, 30).half(),
}


@pytest.mark.parametrize("name", list(TENSORS))
def test_a_packed_tensor_comes_back_bit_for_bit(tmp_path: Path, name: str) -> None:
    file, tensor = tmp_path / "all.safetensors", TENSORS[name]
    save_weights(file, {name: tensor, "other": torch.ones(1)}, packed=True)
    assert read_shapes(file) == {name: tuple(tensor.shape), "other": (1,)}
    loaded = load_weights(file)
    assert loaded[name].dtype == tensor.dtype
    assert loaded[name].numpy().tobytes() == tensor.numpy().tobytes()


@pytest.mark.parametrize("name", list(TENSORS))
def test_a_tensor_is_packed_some_rows_at_a_time(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    at_once, _ = pack({name: TENSORS[name]})
    monkeypatch.setattr(packing, "BLOCK", 100)
    by_rows, _ = pack({name: TENSORS[name]})
    assert at_once.keys() == by_rows.keys()
    assert all(torch.equal(at_once[part], by_rows[part]) for part in at_once)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([[1 / 3, 2.0], [-5.0, 0.0], [1e-9, 65504.0]], "rounded"),
        ([[1 / 3, 2.0], [-5.0, 70_000.0]], "kept"),
        ([[1 / 3, torch.nan]], "kept"),
        ([[]], "kept"),
    ],
)
def test_weights_are_rounded_in_place(
    monkeypatch: pytest.MonkeyPatch, values: list[list[float]], expected: str
) -> None:
    monkeypatch.setattr(packing, "BLOCK", 2)
    given = torch.tensor(values)
    tensor = given.clone()
    round_tensor_to_half(tensor)
    wanted = given.half().float() if expected == "rounded" else given
    assert torch.equal(tensor.nan_to_num(7), wanted.nan_to_num(7))


@pytest.mark.parametrize(("name", "share"), [("half", 0.5), ("table", 0.2), ("wide", 0.2), ("dense", 1.0)])
def test_packing_saves_the_bytes_it_can(tmp_path: Path, name: str, share: float) -> None:
    save_weights(tmp_path / "all.safetensors", {name: TENSORS[name]}, packed=True)
    stored = sum(each.nbytes for each in load_file(tmp_path / "all.safetensors").values())
    assert stored <= share * TENSORS[name].nbytes


@pytest.mark.parametrize(
    "packed",
    [
        {"half": ["b"], "sparse": {}},
        {"half": [], "sparse": {"b": [4, 4]}},
        {"half": [], "sparse": {"a": [10**6, 10**6]}},
        {"half": [], "sparse": {"a": [7, 9]}},
        {"half": [], "sparse": {"a": [-500, -62]}},
        {"sparse": 3},
    ],
)
def test_a_wrong_description_is_refused(tmp_path: Path, packed: object) -> None:
    file = tmp_path / "all.safetensors"
    save_weights(file, {"a": TENSORS["table"]}, packed=True)
    save_file(load_file(file), file, {PACKED: json.dumps(packed)})
    with pytest.raises(RunError, match="train again"):
        load_weights(file)


def test_a_frozen_encoder_is_stored_in_half_the_bytes(tmp_path: Path) -> None:
    first, second = nn.Linear(64, 64), nn.Linear(64, 64)
    second.weight.data[0, 0] = 1e6  # half precision cannot hold it
    before = first.weight.detach().clone()
    encoder = PretrainedEncoder(nn.Sequential(first, second), frozen=True)
    torch.testing.assert_close(first.weight, before, rtol=1e-3, atol=1e-7)
    save_weights(tmp_path / "all.safetensors", encoder.state_dict(), packed=True)
    stored = load_file(tmp_path / "all.safetensors")
    dtypes = [stored[f"network.{n}.weight"].dtype for n in range(2)]
    assert dtypes == [torch.float16, torch.float32]


def test_a_trained_encoder_keeps_its_weights() -> None:
    network = nn.Linear(64, 64)
    before = network.weight.detach().clone()
    PretrainedEncoder(network)
    assert torch.equal(network.weight, before)
