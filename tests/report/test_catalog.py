"""The catalog behind a report: found, refused where it is another one, and shown in thumbnails."""

import base64
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fusionclf.catalog.thumbnails import THUMBNAIL, thumbnail
from fusionclf.errors import CatalogError, RunError
from fusionclf.report import compare
from fusionclf.report.catalog import catalog_facts, find_catalog
from fusionclf.report.collect import read_runs
from fusionclf.report.examples import MOST_PRODUCTS, MOST_RUNS, examples
from fusionclf.workflows.baseline import run_baseline
from tests.small import HEADER, write_catalog


@pytest.fixture(scope="module")
def sample_runs(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two baselines on a copy of the sample catalog, which tests may move."""
    folder = tmp_path_factory.mktemp("sample-runs")
    shutil.copytree(sample_dir, folder / "catalog")
    for name in ("nb", "linear"):
        run_baseline(name, folder / "catalog", folder / name)
    return [folder / "nb", folder / "linear"]


def test_the_catalog_is_found_where_the_runs_read_it(sample_runs: list[Path]) -> None:
    runs = read_runs(sample_runs)
    catalog, note = find_catalog(runs)
    assert catalog is not None and note == ""
    facts = dict(catalog_facts(catalog, runs[0])["findings"])
    assert facts["unquoted commas in the title, repaired"]["n"] == len(catalog.read_report.repaired) > 0
    assert facts["dropped: missing picture"]["ids"] == catalog.read_report.dropped["missing picture"]
    assert facts["classes of top20 without a training row"]["n"] == 1


def test_a_catalog_divided_by_a_further_column_is_found(tmp_path: Path) -> None:
    labels = ("Shirts", "Belts", "belts")
    rows = [
        f"{n},Men,A,T,{labels[n % 3]},None,S,2012,C,{'test' if n < 9 else 'train'},{labels[n % 3]} {n}"
        for n in range(60)
    ]
    data = write_catalog(tmp_path / "catalog", rows, HEADER.replace("usage,", "usage,fold,"))
    words = ("split.rule=column", "split.column=fold", "split.top_k=3")
    run_baseline("nb", data, tmp_path / "run", overrides=words)
    runs = read_runs([tmp_path / "run"])
    catalog, note = find_catalog(runs)
    assert catalog is not None and note == ""
    facts = dict(catalog_facts(catalog, runs[0])["findings"])
    assert facts["words for a missing value in baseColour, read as empty"]["n"] == 60
    assert facts["spelled differently in articleType"]["ids"] == ["Belts = belts"]


def test_a_moved_catalog_is_noted_and_can_be_given(sample_runs: list[Path], tmp_path: Path) -> None:
    home = sample_runs[0].parent / "catalog"
    moved = shutil.move(home, tmp_path / "elsewhere")
    try:
        value = compare(sample_runs, tmp_path / "report")
        page = (tmp_path / "report" / "report.html").read_text()
        assert value["catalog"] is None
        assert "The catalog (catalog) was not found where the runs read it" in page
        assert "<img" not in page and "Product " in page
        assert str(home.parent) not in page
        again = compare(sample_runs, tmp_path / "report", Path(moved))
        page = (tmp_path / "report" / "report.html").read_text()
        assert again["catalog_note"] == "" and page.count('<img src="data:image/jpeg;base64,') > 20
    finally:
        shutil.move(moved, home)


def test_a_changed_catalog_shows_no_pictures(sample_runs: list[Path]) -> None:
    file = sample_runs[0].parent / "catalog" / "styles.csv"
    before = file.read_bytes()
    try:
        lines = before.split(b"\n")
        file.write_bytes(b"\n".join([lines[0], lines[1] + b" changed", *lines[2:]]))
        catalog, note = find_catalog(read_runs(sample_runs))
        assert catalog is None and "has changed since the runs" in note
        with pytest.raises(RunError, match="is another catalog than nb's"):
            find_catalog(read_runs(sample_runs), file.parent)
        file.write_bytes(b"")
        assert "cannot be read (CatalogError)" in find_catalog(read_runs(sample_runs))[1]
    finally:
        file.write_bytes(before)


def test_a_given_folder_that_is_no_catalog_is_refused(sample_runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such folder"):
        compare(sample_runs, tmp_path / "report", tmp_path / "nowhere")
    with pytest.raises(CatalogError, match="no such file"):
        compare(sample_runs, tmp_path / "report", tmp_path)
    assert not (tmp_path / "report").exists()


def test_thumbnail_is_encoded_from_pixels(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1440, 1080, 3), np.uint8)
    file = tmp_path / "large.jpg"
    Image.fromarray(noise).save(
        file, comment=b"<script>evil</script>", exif=b"Exif\0\0evil", icc_profile=b"evil"
    )
    assert b"evil" in file.read_bytes()
    text = thumbnail(file)
    assert text is not None and text.startswith("data:image/jpeg;base64,")
    content = base64.b64decode(text.partition(",")[2])
    assert b"evil" not in content
    with Image.open(io.BytesIO(content)) as picture:
        assert picture.size == THUMBNAIL and picture.format == "JPEG"


def test_pictures_that_cannot_be_read_have_no_thumbnail(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"<svg onload=alert(1)>")
    assert thumbnail(tmp_path / "broken.jpg") is None
    assert thumbnail(tmp_path / "missing.jpg") is None
    assert thumbnail(None) is None


def test_examples_by_hand(two_runs: list[Path]) -> None:
    """On top2 `poor` errs on the first five products, all of them Shirts; `good` on none."""
    found = examples(read_runs(two_runs), "top2", None)
    assert [(each["right"], each["wrong"], each["n"]) for each in found] == [
        ("good", "poor", 5),
        (None, "poor", 5),
    ]
    products = found[0]["products"]
    assert len(products) == 2  # at most two of a class
    assert products[0]["label"] == "Shirts" and products[0]["train_rows"] == 30
    assert products[0]["title"] is None
    assert products[0]["answers"] == {
        "good": [
            {"label": "Shirts", "probability": 0.7},
            {"label": "Shoes", "probability": pytest.approx(0.3)},
        ],
        "poor": [
            {"label": "Shoes", "probability": 0.7},
            {"label": "Shirts", "probability": pytest.approx(0.3)},
        ],
    }


def test_titles_are_those_of_the_products(sample_runs: list[Path]) -> None:
    runs = read_runs(sample_runs)
    catalog, _ = find_catalog(runs)
    assert catalog is not None
    titles = dict(zip(catalog.table["id"], catalog.table["title"], strict=True))
    lists = examples(runs, "top20", catalog)
    pairs = [(each["right"], each["wrong"]) for each in lists]
    assert pairs == [("linear", "nb"), ("nb", "linear"), (None, "linear"), (None, "nb")]
    assert max(len(each["products"]) for each in lists) == MOST_PRODUCTS
    for each in lists:
        for product in each["products"]:
            assert product["title"] == titles[product["id"]]
            first = {name: given[0]["label"] for name, given in product["answers"].items()}
            assert first[each["wrong"]] != product["label"]
            assert each["right"] is None or first[each["right"]] == product["label"]


@pytest.mark.slow
def test_lists_are_made_of_the_best_runs_alone(make_run) -> None:
    runs = read_runs([make_run(f"run{n:02}", wrong=n, seed=n) for n in range(1, MOST_RUNS + 3)])
    found = examples(runs, "top2", None)
    assert {each["wrong"] for each in found} == {f"run{n:02}" for n in range(1, MOST_RUNS + 1)}
