"""The sample catalog has every fault of the real one, and leaves room for fusion."""

import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusionclf.catalog import LABEL_ERRORS, Split, check_catalog, generate_sample, make_split, read_catalog
from fusionclf.catalog import synthetic as synthetic_module
from fusionclf.catalog.drawing import PALETTE, SILHOUETTES, draw_product
from fusionclf.catalog.synthetic import TYPES
from fusionclf.errors import CatalogError


def digest(folder: Path) -> str:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    parts = [f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def test_every_fault_is_there(sample_dir: Path) -> None:
    catalog = read_catalog(sample_dir)
    found = check_catalog(catalog, make_split(catalog))
    assert (found.rows_read, found.products) == (600, 597)
    assert len(found.repaired) == 4
    assert {reason: len(ids) for reason, ids in found.dropped.items()} == {"missing picture": 3}
    assert found.lost_classes == ["Suits"]
    assert len(found.without_year) == 1
    assert found.na_texts["baseColour"] == 3 and found.na_texts["usage"] >= 3
    assert found.empty_cells == {"season": 3}
    assert (found.levels["masterCategory"], found.levels["label"]) == (4, 28)
    assert found.titles_with_several_labels > 0
    assert 50 < found.titles_naming_the_label < 75
    assert found.classes_with_several_paths == ["Tops"]
    assert found.test_titles_in_train is not None and found.test_titles_in_train > 10
    pictures = found.pictures
    assert pictures is not None
    assert pictures.unreadable == {}
    assert (len(pictures.grayscale), len(pictures.odd_sizes), pictures.usual_size) == (6, 3, "60 x 80")
    assert len(pictures.conflicting_groups) == 1
    assert pictures.identical_groups >= 5
    assert pictures.test_pictures_in_train >= 2
    quoted = [
        title for title in catalog.table["title"] if title.endswith(", Boxed") and "Set of" not in title
    ]
    assert len(quoted) == 1
    assert found.usable


@pytest.mark.slow
@pytest.mark.parametrize(("products", "seed"), [(200, 0), (200, 5), (200, 6), (333, 1), (600, 2), (1500, 3)])
def test_every_size_has_classes_of_every_kind(tmp_path: Path, products: int, seed: int) -> None:
    catalog = read_catalog(generate_sample(tmp_path / "c", products=products, seed=seed))
    assert catalog.read_report.rows_read == products
    assert len(catalog) == products - 3
    assert len(catalog.read_report.repaired) == 4
    split = make_split(catalog)
    assert len(split.classes["top20"]) == 20 and len(split.classes["rest"]) == 8
    parts = {part.part: part for part in check_catalog(catalog, split, decode=False).parts}
    assert list(parts["top20"].without_train) == ["Perfume Mist"]
    assert sorted(parts["rest"].without_train) == ["Lipstick", "Nail Polish"]
    assert parts["rest"].without_test == ["Swimwear"]
    assert all(part.validation >= 2 for part in parts.values())
    counts = sorted(Counter(catalog.table["label"]).values())
    assert counts[-1] >= 8 * counts[0]  # a long tail


@pytest.mark.slow
def test_the_same_seed_gives_the_same_files(tmp_path: Path, sample_dir: Path) -> None:
    assert digest(generate_sample(tmp_path / "a", 600, 0)) == digest(sample_dir)
    assert digest(generate_sample(tmp_path / "b", 600, 1)) != digest(sample_dir)


def test_neither_picture_nor_line_alone_tells_the_type() -> None:
    assert len({(kind.silhouette, kind.line) for kind in TYPES}) == len(TYPES)
    silhouettes, lines = Counter(k.silhouette for k in TYPES), Counter(k.line for k in TYPES)
    assert set(silhouettes) == set(SILHOUETTES)
    assert sum(silhouettes[kind.silhouette] > 1 for kind in TYPES) >= 25
    assert min(lines.values()) >= 4
    assert len({kind.name for kind in TYPES}) == len(TYPES) == 28
    assert len({path for kind in TYPES for path in (kind.path[:1], kind.path)}) > 10  # three levels


def test_pictures_and_titles_fit_their_rows(sample_dir: Path) -> None:
    catalog = read_catalog(sample_dir)
    table = catalog.table
    coloured = [
        (title, colour)
        for title, colour in zip(table["title"], table["baseColour"], strict=True)
        if colour != "NA"
    ]
    assert all(colour in title for title, colour in coloured)
    with Image.open(sample_dir / table["picture"].iloc[0]) as picture:
        assert picture.format == "JPEG"


@pytest.mark.parametrize("silhouette", sorted(SILHOUETTES))
def test_drawings_fill_a_part_of_the_picture_and_all_differ(silhouette: str) -> None:
    generator = np.random.default_rng(0)
    first, second = (np.asarray(draw_product(silhouette, "Navy Blue", generator), float) for _ in range(2))
    assert first.shape == (80, 60, 3)
    assert np.abs(first - second).mean() > 2
    dark = (first.mean(axis=2) < 150).mean()
    assert 0.03 < dark < 0.6
    assert set(PALETTE) >= {"Black", "White"}
    draw_product(silhouette, "NA", generator)


def test_too_few_products_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="products=199: a sample catalog needs at least 200"):
        generate_sample(tmp_path / "c", products=199)
    assert list(tmp_path.iterdir()) == []


def test_folder_with_files_is_refused_and_left_unchanged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(CatalogError, match="holds files already"):
        generate_sample(tmp_path)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthetic_module, "draw_product", fail)
    with pytest.raises(CatalogError, match="No space left"):
        generate_sample(tmp_path / "c")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_split_by_title_works_on_it(sample_dir: Path) -> None:
    catalog = read_catalog(sample_dir)
    spec = make_split(catalog).spec.model_copy(update={"group_by": ("title", "picture")})
    split = make_split(catalog, spec)
    assert isinstance(split, Split)
    found = check_catalog(catalog, split)
    assert found.test_titles_in_train == 0
    assert found.pictures is not None and found.pictures.test_pictures_in_train == 0


def test_label_errors_change_the_listed_labels_alone(tmp_path: Path) -> None:
    right = generate_sample(tmp_path / "right", 200, 3)
    wrong = generate_sample(tmp_path / "wrong", 200, 3, label_errors=5)
    listed = (wrong / LABEL_ERRORS).read_text().splitlines()[1:]
    lines = [(folder / "styles.csv").read_text().splitlines() for folder in (right, wrong)]
    changed = [(a.split(","), b.split(",")) for a, b in zip(*lines, strict=True) if a != b]
    assert sorted(f"{b[0]},{b[4]},{a[4]}" for a, b in changed) == sorted(listed) and len(listed) == 5
    assert all(a[4] != b[4] and [a[0], *a[5:]] == [b[0], *b[5:]] for a, b in changed)
    pictures = [sorted((folder / "images").iterdir()) for folder in (right, wrong)]
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(*pictures, strict=True))


def test_too_many_label_errors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"label_errors=500: at most \d+ of 200 products can have one"):
        generate_sample(tmp_path / "c", products=200, label_errors=500)
    assert not (tmp_path / "c").exists()
