"""Features on disk: computed once for all that they depend on, and again when they are damaged."""

import json
import shutil
from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import torch

from fusionclf.batches import cached_features, fingerprint, text_fingerprint
from fusionclf.errors import PictureError

VALUES = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features" / "pictures"


def _counted() -> tuple[Callable[[], np.ndarray], list[int]]:
    calls: list[int] = []

    def compute() -> np.ndarray:
        calls.append(1)
        return VALUES

    return compute, calls


def test_the_second_call_reads_what_the_first_computed() -> None:
    compute, calls = _counted()
    first, made = cached_features("pictures", "a", 7, compute)
    second, found = cached_features("pictures", "a", 7, compute)
    assert len(calls) == 1
    assert first.dtype == second.dtype == np.float32
    assert np.array_equal(first, VALUES) and np.array_equal(second, VALUES)
    assert made == found and found["rows"] == 7 and found["seconds"] >= 0


def test_another_key_and_another_kind_are_computed() -> None:
    compute, calls = _counted()
    for kind, key in (("pictures", "a"), ("pictures", "b"), ("titles", "a")):
        cached_features(kind, key, 7, compute)
    assert len(calls) == 3


def test_the_files_are_read_in_place_and_hold_no_pickle(place: Path) -> None:
    features, _ = cached_features("pictures", "a", 7, lambda: VALUES.astype(np.float64)[:, ::-1])
    assert isinstance(features, np.memmap) and not features.flags.writeable
    assert np.array_equal(np.load(place / "a" / "features.npy", allow_pickle=False), VALUES[:, ::-1])
    assert set(json.loads((place / "a" / "meta.json").read_text())) == {"seconds", "rows"}


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("features.npy", b""),
        ("features.npy", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'shape': (7"),
        ("features.npy", b"junk"),
        ("features.npy", None),
        ("meta.json", b""),
        ("meta.json", b"[1]"),
        ("meta.json", b'{"seconds": 1, "rows": 6}'),
        ("meta.json", b'{"seconds": 1}'),
        ("meta.json", None),
        ("checks.json", b""),
        ("checks.json", b"[1]"),
        ("checks.json", b'{"meta.json": 1}'),
    ],
)
def test_damaged_files_are_computed_again(place: Path, file: str, content: bytes | None) -> None:
    compute, calls = _counted()
    cached_features("pictures", "a", 7, compute)
    damaged = place / "a" / file
    if content is None:
        damaged.unlink()
    else:
        damaged.write_bytes(content)
    features, _ = cached_features("pictures", "a", 7, compute)
    assert len(calls) == 2 and np.array_equal(features, VALUES)
    cached_features("pictures", "a", 7, compute)
    assert len(calls) == 2
    assert [path.name for path in place.iterdir()] == ["a"]


def test_a_file_that_was_cut_off_is_computed_again(place: Path) -> None:
    compute, calls = _counted()
    cached_features("pictures", "a", 7, compute)
    file = place / "a" / "features.npy"
    file.write_bytes(file.read_bytes()[:-4])
    assert np.array_equal(cached_features("pictures", "a", 7, compute)[0], VALUES)
    assert len(calls) == 2


@pytest.mark.parametrize("harm", ["zeros", "flip", "header"])
def test_damaged_features_are_computed_again(place: Path, harm: str) -> None:
    compute, calls = _counted()
    cached_features("pictures", "a", 7, compute)
    file = place / "a" / "features.npy"
    content = bytearray(file.read_bytes())
    if harm == "zeros":
        content[-40:] = bytes(40)
    elif harm == "flip":
        content[-1] ^= 1
    else:
        content = content.replace(b"'fortran_order': False", b"'fortran_order': True ")
    file.write_bytes(content)
    warned: list[str] = []
    features, _ = cached_features("pictures", "a", 7, compute, warn=warned.append)
    assert np.array_equal(features, VALUES) and len(calls) == 2
    assert len(warned) == 1 and "damaged" in warned[0] and len(warned[0]) <= 400
    cached_features("pictures", "a", 7, compute, warn=warned.append)
    assert len(calls) == 2 and len(warned) == 1


def test_changed_seconds_are_damage(place: Path) -> None:
    compute, calls = _counted()
    cached_features("pictures", "a", 7, compute)
    meta = place / "a" / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), "seconds": 1e6}))
    _, found = cached_features("pictures", "a", 7, compute)
    assert len(calls) == 2 and found["seconds"] < 1e6


def test_features_of_another_number_of_rows_are_computed_again(place: Path) -> None:
    cached_features("pictures", "b", 5, lambda: VALUES[:5])
    shutil.copytree(place / "b", place / "a")
    compute, calls = _counted()
    features, _ = cached_features("pictures", "a", 7, compute)
    assert len(calls) == 1 and np.array_equal(features, VALUES)


def test_features_without_checksums_are_computed_again(place: Path) -> None:
    compute, calls = _counted()
    cached_features("pictures", "a", 7, compute)
    (place / "a" / "checks.json").unlink()
    cached_features("pictures", "a", 7, compute)
    assert len(calls) == 2


def test_an_unwritable_folder_is_one_clear_line_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "file"))
    compute, calls = _counted()
    with pytest.raises(PictureError, match="set FUSIONCLF_CACHE"):
        cached_features("pictures", "a", 7, compute)
    assert not calls


def test_a_full_disk_is_one_clear_line(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1000, 900, 100))
    with pytest.raises(PictureError, match=r"the cache of features takes .* set FUSIONCLF_CACHE"):
        cached_features("pictures", "a", 7, lambda: VALUES)
    assert list(place.iterdir()) == []


def test_an_error_of_the_computation_is_its_own(place: Path) -> None:
    def compute() -> np.ndarray:
        raise OSError("no such weights")

    with pytest.raises(OSError, match="no such weights"):
        cached_features("pictures", "a", 7, compute)
    assert list(place.iterdir()) == []


def test_several_may_compute_at_once(place: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cached_features("pictures", "a", 7, lambda: VALUES)[0], range(4)))
    assert all(np.array_equal(features, VALUES) for features in found)
    assert [path.name for path in place.iterdir()] == ["a"]


def test_several_may_replace_damaged_features_at_once(place: Path) -> None:
    cached_features("pictures", "a", 7, lambda: VALUES)
    for _ in range(20):
        with (place / "a" / "features.npy").open("r+b") as file:
            file.seek(-8, 2)
            file.write(bytes(8))
        together = Barrier(4)

        def read(together: Barrier = together) -> np.ndarray:
            def agree(
                there: bool,
            ) -> bool:  # as processes do that compute shares: none begins before all have looked
                together.wait(10)
                return there

            return cached_features("pictures", "a", 7, lambda: VALUES, agree)[0]

        with ThreadPoolExecutor(4) as pool:
            assert all(np.array_equal(f.result(), VALUES) for f in [pool.submit(read) for _ in range(4)])
    assert [path.name for path in place.iterdir()] == ["a"]


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    layer = torch.nn.BatchNorm1d(3)
    return {**layer.state_dict(), "half": torch.randn(2, 3).bfloat16(), "none": torch.zeros(0, 2)}


def test_fingerprint_changes_with_every_input() -> None:
    plain = fingerprint(_state(), "cache", 3)
    assert len(plain) == 24 and plain == fingerprint(_state(), "cache", 3)
    assert plain == fingerprint(dict(reversed(_state().items())), "cache", 3)
    changed = {name: _state() for name in ("weight", "name", "shape", "dtype", "half")}
    changed["weight"]["running_var"][1] = torch.nextafter(torch.tensor(1.0), torch.tensor(2.0))
    changed["name"]["bias2"] = changed["name"].pop("bias")
    changed["shape"]["half"] = changed["shape"]["half"].T.contiguous()
    changed["dtype"]["half"] = changed["dtype"]["half"].view(torch.float16)
    changed["half"]["half"] = changed["half"]["half"] * 2
    others = [fingerprint(state, "cache", 3) for state in changed.values()]
    others += [
        fingerprint(_state(), "cache"),
        fingerprint(_state(), "cach", "e3"),
        fingerprint({}, "cache", 3),
    ]
    assert len({plain, *others}) == 1 + len(others)


def test_fingerprint_does_not_see_strides_or_gradients() -> None:
    values = torch.randn(4, 3, 5, 5)
    last = values.contiguous(memory_format=torch.channels_last)
    expected = fingerprint({"w": values})
    assert fingerprint({"w": last}) == expected
    assert fingerprint({"w": torch.nn.Parameter(values)}) == expected


def test_text_fingerprint_is_unambiguous() -> None:
    lists = [
        ["ab", "c"],
        ["a", "bc"],
        ["abc"],
        ["c", "ab"],
        ["ab", "c", ""],
        [],
        ["", ""],
        ["1:a"],
        ["a"],
        ["ä"],
    ]
    assert len({text_fingerprint(texts) for texts in lists}) == len(lists)
    assert text_fingerprint(["ab", "c"]) == text_fingerprint(("ab", "c"))
    assert len(text_fingerprint(["\ud800"])) == 24  # a lone surrogate, as a damaged file may hold


def test_all_compute_where_one_of_them_lacks_the_features() -> None:
    compute, calls = _counted()
    first, _ = cached_features("pictures", "a", 7, compute)
    again, _ = cached_features("pictures", "a", 7, compute, agree=lambda there: False)
    assert len(calls) == 2 and np.array_equal(first, again)
    cached_features("pictures", "a", 7, compute, agree=lambda there: there)
    assert len(calls) == 2
