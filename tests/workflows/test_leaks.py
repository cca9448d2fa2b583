"""Test products that show a picture of the training rows: from the picture cache to the report."""

import shutil
from pathlib import Path

import pytest

from fusionclf.batches import open_cache
from fusionclf.catalog import check_catalog, make_split, read_catalog
from fusionclf.config import SplitConfig
from fusionclf.evaluation import product_context
from fusionclf.report import compare
from fusionclf.workflows.baseline import run_baseline
from fusionclf.workflows.train import train
from tests.small import IMAGE

PLANTED = 7
TINY = (*IMAGE, "pictures.width=24", "train.epochs=1", "stage2.epochs=1")


@pytest.mark.slow
def test_report_counts_planted_picture_copies(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    folder = Path(shutil.copytree(sample_dir, tmp_path / "catalog"))
    catalog = read_catalog(folder)
    split = make_split(catalog, SplitConfig())
    before = check_catalog(catalog, split).pictures
    train_row = split.rows(catalog, None, "train")[0]
    test_rows = split.rows(catalog, "top20", "test")[:PLANTED]
    source, *copies = catalog.picture_paths([train_row, *test_rows])  # pyright: ignore[reportArgumentType]
    for path in copies:
        assert source is not None and path is not None
        shutil.copy(source, path)
    after = check_catalog(catalog, split).pictures
    assert before is not None and after is not None
    assert after.test_pictures_in_train == before.test_pictures_in_train + PLANTED

    train("image", folder, tmp_path / "image", overrides=TINY, cpu=True)
    run_baseline("nb", folder, tmp_path / "nb")
    found = compare([tmp_path / "image", tmp_path / "nb"], None)["split"]["leaked_pictures"]
    assert (found["rows"], found["why_unknown"]) == (after.test_pictures_in_train, "")
    assert compare([tmp_path / "nb"], None)["split"]["leaked_pictures"]["rows"] is None


@pytest.mark.real
@pytest.mark.slow
def test_real_catalog_has_six_leaked_test_pictures(
    real_catalog_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path))
    catalog = read_catalog(real_catalog_dir)
    digests = open_cache(catalog, cover=(80, 60)).digests
    context = product_context(catalog, make_split(catalog), None, pictures=digests)
    assert context["leaked_picture"].tolist().count(True) == 6
