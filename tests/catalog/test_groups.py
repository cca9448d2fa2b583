"""Groups of products that belong together."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fusionclf.catalog import groups as groups_module
from fusionclf.catalog import read_catalog
from fusionclf.catalog.groups import near_links, product_groups, same_values
from tests.catalog.conftest import MakeCatalog, WriteCatalog


def together(groups: np.ndarray) -> list[list[int]]:
    """The rows of each group of two and more."""
    found = [np.flatnonzero(groups == group).tolist() for group in dict.fromkeys(groups.tolist())]
    return [rows for rows in found if len(rows) > 1]


def test_without_a_rule_each_product_is_alone(make_catalog: MakeCatalog) -> None:
    assert product_groups(make_catalog([{}] * 4), ()).tolist() == [0, 1, 2, 3]


def test_equal_titles_go_together_and_empty_ones_do_not(make_catalog: MakeCatalog) -> None:
    titles = ["a", "", "b", "a", "", "A", "b", "a"]
    catalog = make_catalog([{"productDisplayName": title} for title in titles])
    assert together(product_groups(catalog, ("title",))) == [[0, 3, 7], [2, 6]]


def test_titles_of_white_space_are_none(make_catalog: MakeCatalog) -> None:
    catalog = make_catalog([{"productDisplayName": title} for title in ["a", "  ", "  ", "a", "\t", "\t"]])
    assert together(product_groups(catalog, ("title",))) == [[0, 3]]


def test_groups_are_joined_over_titles_and_pictures(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{"productDisplayName": title} for title in "aabcd"])
    for number, shade in enumerate([10, 90, 90, 200, 90], 1):  # row 1 = row 2 = row 4 in pixels
        Image.new("RGB", (6, 8), (shade, 0, 0)).save(folder / f"images/{number}.jpg")
    catalog = read_catalog(folder)
    assert together(product_groups(catalog, ("title",))) == [[0, 1]]
    assert together(product_groups(catalog, ("picture",))) == [[1, 2, 4]]
    assert together(product_groups(catalog, ("title", "picture"))) == [[0, 1, 2, 4]]


def test_unreadable_pictures_are_in_no_group(write_catalog: WriteCatalog) -> None:
    folder = write_catalog([{}] * 3)
    for number in (1, 2):
        (folder / f"images/{number}.jpg").write_text("no picture")
    catalog = read_catalog(folder)
    assert together(product_groups(catalog, ("picture", "near_picture"))) == []


def test_near_pictures_go_together(sample_dir: Path, write_catalog: WriteCatalog) -> None:
    source = sorted((sample_dir / "images").iterdir())[:2]
    folder = write_catalog([{}] * 4)
    for number, path in enumerate([source[0], source[0], source[1], source[1]], 1):
        quality = 95 if number % 2 else 70
        Image.open(path).convert("RGB").save(folder / f"images/{number}.jpg", quality=quality)
    catalog = read_catalog(folder)
    assert together(product_groups(catalog, ("picture",))) == []
    assert together(product_groups(catalog, ("near_picture",), near_distance=6)) == [[0, 1], [2, 3]]


def test_links_of_same_values() -> None:
    assert same_values(["x", None, "y", "x", None, "x"]).tolist() == [[3, 0], [5, 0]]
    assert same_values([None]).shape == (0, 2)


# Hashes of few bits, so that near ones turn up, beside any 64-bit value.
SPARSE = st.sets(st.integers(0, 63), max_size=4).map(lambda bits: sum(1 << bit for bit in bits))
HASHES = st.lists(st.none() | st.integers(0, 2**64 - 1) | SPARSE, min_size=1, max_size=25)


@given(hashes=HASHES, distance=st.integers(0, 32))
def test_near_links_are_all_there_and_no_other(hashes: list[int | None], distance: int) -> None:
    firsts = [row for row, value in enumerate(hashes) if value is not None and hashes.index(value) == row]
    expected = {
        (a, b)
        for n, a in enumerate(firsts)
        for b in firsts[n + 1 :]
        if (int(hashes[a] or 0) ^ int(hashes[b] or 0)).bit_count() <= distance
    }
    found = {tuple(sorted(pair)) for links in near_links(hashes, distance) for pair in links.tolist()}
    assert found == expected


@pytest.mark.slow
def test_links_in_many_batches_give_the_same_groups(
    sample_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = read_catalog(sample_dir)
    at_once = product_groups(catalog, ("near_picture",), near_distance=10)
    assert together(at_once)
    monkeypatch.setattr(groups_module, "MOST_LINKS", 5)
    in_lots = product_groups(catalog, ("near_picture",), near_distance=10)
    assert together(in_lots) == together(at_once)
