"""Embeddings of texts on disk: found by text, whole or not at all, and bounded."""

from pathlib import Path

import numpy as np
import pytest

from fusionclf.batches import kept_texts
from fusionclf.batches.kept_texts import KeptTexts

WORDS = [f"word {n}" for n in range(10)]
VALUES = np.random.default_rng(0).normal(size=(10, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "texts" / "key"


def _keep(first: int, last: int) -> None:
    texts = KeptTexts("key")
    texts.add(WORDS[first:last], 64, VALUES[first:last])
    texts.save()


def _kept() -> list[int]:
    """The words that a new command finds, each with its own embedding."""
    is_kept, found = KeptTexts("key").find(WORDS, 64)
    assert np.array_equal(found, VALUES[is_kept].reshape(found.shape))
    return np.flatnonzero(is_kept).tolist()


def test_a_text_is_found_in_any_order_and_mixture() -> None:
    _keep(0, 4)
    _keep(6, 10)
    assert _kept() == [0, 1, 2, 3, 6, 7, 8, 9]
    is_kept, found = KeptTexts("key").find(["word 8", "other", "word 1", "word 8"], 64)
    assert is_kept.tolist() == [True, False, True, True]
    assert np.array_equal(found, VALUES[[8, 1, 8]])


def test_nothing_is_found_of_another_key_or_length() -> None:
    assert _kept() == []
    _keep(0, 4)
    assert not KeptTexts("key").find(WORDS, 128)[0].any()
    assert not KeptTexts("other").find(WORDS, 64)[0].any()


def test_texts_are_found_only_once_saved() -> None:
    texts = KeptTexts("key")
    texts.add(WORDS, 64, VALUES)
    assert _kept() == []
    texts.save()
    assert len(_kept()) == 10 and len(texts) == 10


def test_many_texts_are_saved_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_texts, "MOST_PENDING", 8)
    texts = KeptTexts("key")
    texts.add(WORDS[:5], 64, VALUES[:5])
    assert _kept() == []
    texts.add(WORDS[5:], 64, VALUES[5:])
    assert len(_kept()) == 10


def test_known_texts_are_not_written_again(place: Path) -> None:
    _keep(0, 6)
    _keep(0, 6)
    _keep(3, 9)
    sizes = [len(np.load(folder / "hashes.npy")) for folder in place.iterdir()]
    assert sorted(sizes) == [3, 6] and len(_kept()) == 9


@pytest.mark.parametrize("name", ["hashes.npy", "embeddings.npy", "checks.json"])
def test_a_damaged_folder_is_removed(place: Path, name: str) -> None:
    _keep(0, 4)
    (damaged,) = place.iterdir()
    _keep(4, 8)
    content = (damaged / name).read_bytes()
    (damaged / name).write_bytes(content[:-4] + bytes(4))
    assert _kept() == [4, 5, 6, 7] and not damaged.exists()


def test_many_folders_are_joined(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_texts, "MOST_FOLDERS", 3)
    for n in range(4):
        _keep(n, n + 1)
    assert len(list(place.iterdir())) == 1 and _kept() == [0, 1, 2, 3]


def test_with_too_many_texts_it_starts_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_texts, "MOST_TEXTS", 6)
    _keep(0, 5)
    _keep(5, 8)
    assert _kept() == [5, 6, 7]


def test_a_folder_that_cannot_be_written_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "file"))
    _keep(0, 4)
    assert _kept() == []
