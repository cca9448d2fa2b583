"""Synonyms of a run: of a file, drafted, or none; test rows take no part."""

from dataclasses import replace
from pathlib import Path

import pytest
from accelerate import Accelerator

from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.config import SplitConfig
from fusionclf.console import SILENT, Console
from fusionclf.stacking.drafted_synonyms import RunSynonyms, train_titles

FAMILIES = {"Hats and Caps": "Headwear", "Belts": "Belts"}


@pytest.fixture
def parts(sample_dir: Path) -> tuple[Catalog, Split]:
    catalog = read_catalog(sample_dir)
    return catalog, make_split(catalog, SplitConfig())


def test_no_test_row_is_a_train_title(parts: tuple[Catalog, Split]) -> None:
    catalog, split = parts
    before = train_titles(catalog, split)
    table = catalog.table.copy()
    table.iloc[split.rows(catalog, None, "test"), table.columns.get_loc("title")] = "zorblax"
    assert train_titles(replace(catalog, table=table), split) == before
    assert 0 < len(before.titles) < len(catalog) and "zorblax" not in " ".join(before.titles)


def test_auto_drafts_and_says_so(parts: tuple[Catalog, Split], capsys: pytest.CaptureFixture[str]) -> None:
    found = RunSynonyms.read("auto", *parts, FAMILIES, Console())
    assert {"hat", "cap"} <= set(found.names["Hats and Caps"]) and found.draft is not None
    assert "names drafted for" in capsys.readouterr().err


def test_auto_takes_a_shipped_file_that_names_most_classes(parts: tuple[Catalog, Split]) -> None:
    known: dict[str, str] = {
        "Lipstick": "Lips",
        "Nail Polish": "Nails",
        "Deodorant": "Fragrance",
        "Belts": "Belts",
    }
    assert RunSynonyms.read("auto", *parts, known, SILENT) == RunSynonyms.read(
        "fashion", *parts, known, SILENT
    )
    few = {**known, "Sofas": "Furniture", "Hats and Caps": "Furniture"}
    assert RunSynonyms.read("auto", *parts, few, SILENT).draft is not None


def test_null_means_no_synonyms(parts: tuple[Catalog, Split]) -> None:
    assert RunSynonyms.read(None, *parts, FAMILIES, SILENT) == RunSynonyms()


def test_a_file_is_used_as_it_is(parts: tuple[Catalog, Split], tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("Belts: [waistband]\n")
    found = RunSynonyms.read(str(tmp_path / "mine.yaml"), *parts, FAMILIES, SILENT)
    assert found == RunSynonyms({"Belts": ("waistband",)})
    found.keep(tmp_path, Accelerator(cpu=True))
    assert not (tmp_path / "synonyms.yaml").exists()


def test_a_file_of_other_classes_is_warned_of(
    parts: tuple[Catalog, Split], capsys: pytest.CaptureFixture[str]
) -> None:
    RunSynonyms.read("fashion", *parts, {"Sofas": "Furniture"}, Console())
    assert (
        "warning: model.synonyms=fashion: the file names no class of the catalog" in capsys.readouterr().err
    )


def test_a_resumed_run_keeps_its_draft(parts: tuple[Catalog, Split], tmp_path: Path) -> None:
    found = RunSynonyms.read("auto", *parts, FAMILIES, SILENT)
    found.keep(tmp_path, Accelerator(cpu=True))
    text = (tmp_path / "synonyms.yaml").read_text()
    assert "  - cap  # part of the name\n" in text
    (tmp_path / "synonyms.yaml").write_text("Belts: [waistband]\n")
    again = RunSynonyms.read("auto", *parts, FAMILIES, SILENT)
    again.keep(tmp_path, Accelerator(cpu=True))
    assert again.names == {"Belts": ("waistband",)}
