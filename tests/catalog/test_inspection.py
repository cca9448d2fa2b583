"""Facts about pictures are kept: only pictures that are new or have changed are decoded."""

import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fusionclf.caches import cache_folder
from fusionclf.catalog import inspection as module
from fusionclf.catalog import make_split, read_catalog
from fusionclf.catalog.groups import product_groups
from fusionclf.catalog.inspection import inspect_pictures
from fusionclf.catalog.picture_checks import check_pictures
from tests.small import write_catalog

NAMES = ("Shirts", "shirt"), ("Jeans", "jeans")
ROWS = [
    f"{n},Men,Apparel,Topwear,{NAMES[n % 2][0]},Blue,Fall,{2011 + n // 2 % 2},Casual,{NAMES[n % 2][1]} {n}"
    for n in range(12)
]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The names of the files that are decoded, with an empty cache folder."""
    names: list[str] = []
    decode = module.decoded_picture

    def counted(path: Any) -> Any:
        names.append(Path(path).name)
        return decode(path)

    monkeypatch.setattr(module, "decoded_picture", counted)
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return names


def pictures(folder: Path, count: int = 4) -> list[Path | None]:
    folder.mkdir(exist_ok=True)
    paths: list[Path | None] = [folder / f"{n}.png" for n in range(count)]
    for n, path in enumerate(paths):
        assert path is not None
        Image.new("L" if n == 1 else "RGB", (5 + n % 2, 7), 60 * (n // 2)).save(path)
    return [*paths, None]


def test_a_second_look_decodes_nothing(decoded: list[str], tmp_path: Path) -> None:
    paths = pictures(tmp_path / "a")
    first = inspect_pictures(tmp_path / "a", paths)
    assert sorted(decoded) == [f"{n}.png" for n in range(4)]
    assert first.table[["width", "height", "mode"]].tolist()[:2] == [(5, 7, b"RGB"), (6, 7, b"L")]
    assert first.decoded.tolist() == [True] * 4 + [False] and first.digests[4] is None
    decoded.clear()
    again = inspect_pictures(tmp_path / "a", [*reversed(paths)])
    assert decoded == [] and again.digests == first.digests[::-1]


def test_a_changed_or_new_file_is_decoded_again(decoded: list[str], tmp_path: Path) -> None:
    paths = pictures(tmp_path / "a")
    first = inspect_pictures(tmp_path / "a", paths)
    assert paths[0] is not None and paths[1] is not None
    Image.new("RGB", (5, 7), "red").save(paths[0])
    stat = paths[1].stat()
    os.utime(paths[1], ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**6))
    Image.new("RGB", (9, 9)).save(tmp_path / "a" / "new.png")
    decoded.clear()
    again = inspect_pictures(tmp_path / "a", [*paths, tmp_path / "a" / "new.png"])
    assert sorted(decoded) == ["0.png", "1.png", "new.png"]
    assert again.digests[0] != first.digests[0] and again.digests[1:5] == first.digests[1:]


def test_near_hashes_are_computed_when_they_are_asked_for(decoded: list[str], tmp_path: Path) -> None:
    paths = pictures(tmp_path / "a")
    assert inspect_pictures(tmp_path / "a", paths).near_hashes == [None] * 5
    found = inspect_pictures(tmp_path / "a", paths, near=True).near_hashes
    assert len(decoded) == 8 and None not in found[:4] and found[4] is None
    assert inspect_pictures(tmp_path / "a", paths, near=True).near_hashes == found
    assert len(decoded) == 8


def test_a_fault_is_named_each_time(decoded: list[str], tmp_path: Path) -> None:
    paths = pictures(tmp_path / "a", 2)
    (tmp_path / "a" / "0.png").write_bytes(b"no picture")
    for _ in range(2):
        found = inspect_pictures(tmp_path / "a", [*paths, tmp_path / "a" / "gone.png"])
        assert list(found.faults) == [0, 3]
        assert "not a picture" in found.faults[0] and found.faults[3] == "no such picture"
    assert decoded.count("1.png") == 1


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 nothing", None])
def test_damaged_or_unwritable_facts_cost_time_alone(
    decoded: list[str], tmp_path: Path, content: bytes | None
) -> None:
    paths = pictures(tmp_path / "a")
    first = inspect_pictures(tmp_path / "a", paths)
    (file,) = (cache_folder() / "inspections").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:200] + b"\xff" + whole[201:] if content is None else content)
    decoded.clear()
    assert inspect_pictures(tmp_path / "a", paths).digests == first.digests
    assert len(decoded) == 4 and file.read_bytes() != content
    os.environ["FUSIONCLF_CACHE"] = "/dev/null/cache"
    assert inspect_pictures(tmp_path / "a", paths).digests == first.digests


def test_split_and_check_share_what_was_decoded(decoded: list[str], tmp_path: Path) -> None:
    catalog = read_catalog(write_catalog(tmp_path / "catalog", ROWS))
    groups = product_groups(catalog, ["picture"])
    assert len(decoded) == len(ROWS)
    decoded.clear()
    rows = make_split(catalog).rows
    facts = check_pictures(catalog, rows(catalog, None, "train"), rows(catalog, None, "test"), None)
    assert (product_groups(catalog, ["picture"]) == groups).all()
    assert decoded == [] and facts.decoded == len(ROWS) and facts.usual_size == "6 x 8"
