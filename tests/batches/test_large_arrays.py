"""Arrays and tables that grow with the catalog: the same values in chunks, and on disk, as at once in memory."""

from pathlib import Path

import numpy as np
import pytest
import torch

from fusionclf.batches import HashedNGrams, disk, hashed_ngrams
from fusionclf.batches.disk import large_zeros, load_array, mapped_copy, save_array, untouched_zeros
from fusionclf.errors import PictureError
from fusionclf.memory import release_pages
from fusionclf.training import prediction
from fusionclf.training.accelerator import OneProcess


def test_a_large_array_is_on_disk_and_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "LEAST_MAPPED", 500)
    monkeypatch.setattr(disk, "MOST_IN_MEMORY", 1000)
    assert isinstance(large_zeros((5, 10)), np.ndarray)
    small, large = large_zeros((25, 10)), large_zeros((26, 10))
    assert not isinstance(small, np.memmap) and isinstance(large, np.memmap)
    small[3] = large[3] = 7
    assert small.sum() == 70
    assert large.sum() == 70 and large.dtype == np.float32
    assert list((tmp_path / "cache").iterdir()) == []  # nothing is left behind, even by a killed process


def test_a_mapped_copy_has_the_same_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "LEAST_MAPPED", 10)
    for values in (torch.randn(5, 3), torch.zeros(0, 3), torch.randn(2, 3).half(), torch.eye(4)[:, ::2]):
        copy = mapped_copy(values)
        assert torch.equal(copy, values) and copy.dtype == values.dtype
        assert not len(values) or copy.data_ptr() != values.data_ptr()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_released_pages_leave_memory_and_keep_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "MOST_IN_MEMORY", 1000)
    np.save(tmp_path / "kept.npy", np.ones(2**21))
    kept, made = load_array(tmp_path / "kept.npy", mapped=True), large_zeros((2**21,))
    assert kept is not None
    made[:] = kept
    before = mapped_pages()
    release_pages()
    assert before - mapped_pages() > 0.9 * (kept.nbytes + made.nbytes)
    assert kept.sum() == made.sum() == 2**21


@pytest.mark.parametrize(
    "array",
    [np.arange(12.0).reshape(6, 2).T, np.arange(5, dtype=np.uint64), np.zeros((0, 3)), np.zeros((3, 0))],
)
def test_an_array_is_saved_in_pieces(
    tmp_path: Path, array: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "WRITTEN_BYTES", 20)
    save_array(tmp_path / "array.npy", array)
    found = np.load(tmp_path / "array.npy")
    assert found.dtype == array.dtype and found.shape == array.shape and (found == array).all()


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_collected_values_leave_memory_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(disk, "MOST_IN_MEMORY", 1000)
    monkeypatch.setattr(prediction, "RELEASED_TOGETHER", 64)
    parts = ((np.arange(64) + n, torch.full((64, 4096), float(n))) for n in range(0, 1024, 64))  # of 1 MiB
    here, seen = OneProcess(torch.device("cpu"), "no"), list[int]()
    before = mapped_pages()
    found = prediction.collect(parts, 1024, here, lambda done, count: seen.append(mapped_pages()))
    assert len(seen) == 16 and max(seen) - before < 2**22
    assert torch.equal(found[:, 7], (torch.arange(1024) // 64 * 64).float())


@pytest.mark.skipif(not Path("/proc/self/smaps").exists(), reason="needs Linux")
def test_untouched_zeros_take_no_memory_until_written() -> None:
    before = mapped_pages("RssAnon")
    zeros = untouched_zeros((2**13, 2**12))  # 128 MiB
    assert mapped_pages("RssAnon") - before < 2**24
    zeros[: 2**11] = 1
    assert 2**25 <= mapped_pages("RssAnon") - before < 2**26
    assert zeros.sum() == 2**23 and untouched_zeros((0, 3)).shape == (0, 3)


def mapped_pages(kind: str = "RssFile") -> int:
    """Bytes of mapped files, or of another kind, in this process's memory."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return 1024 * int(status.partition(f"{kind}:")[2].split()[0])


def test_a_large_array_without_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PictureError, match="an array of this run takes about"):
        large_zeros((2**50,))


def test_ngrams_in_chunks_are_those_of_all_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    titles = [f"brand{n % 7} red shirt {n}" for n in range(50)] + ["", "blue shoe"]
    whole = HashedNGrams(buckets=256)(titles)
    monkeypatch.setattr(hashed_ngrams, "AT_ONCE", 8)
    chunks = HashedNGrams(buckets=256)(titles)
    assert (whole.counts.toarray() == chunks.counts.toarray()).all() and whole.counts.shape == (52, 256)
    assert len(HashedNGrams(buckets=256)([]).starts) == 1
