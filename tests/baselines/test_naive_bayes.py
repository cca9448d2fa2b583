"""Naive Bayes: by hand, under the reference's protocol, and on the real catalog."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from baselines import find_baseline
from baselines.naive_bayes import NaiveBayesConfig, has_reference_layout
from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.config import load_settings
from fusionclf.errors import CatalogError, SettingsError
from fusionclf.evaluation.metrics import score


def run(catalog: Catalog, split: Split, folder: Path, protocol: str = "all_rows"):
    settings = NaiveBayesConfig.model_validate({"variant": "nb", "data": "catalog", "protocol": protocol})
    return find_baseline("nb").run(settings, catalog, split, folder)[0]


def test_probabilities_by_hand(catalog: Catalog, tmp_path: Path) -> None:
    """Word counts with one added, of train and validation titles together."""
    split = make_split(catalog)
    frame = run(catalog, split, tmp_path / "run")["joint"].set_index("id")
    train = catalog.table.iloc[split.rows(catalog, None, "train", "validation")]
    vocabulary = sorted({word for title in train["title"] for word in title.split()})
    title = catalog.table.set_index("id").loc["003", "title"]
    logs = []
    for label in sorted(set(train["label"])):
        titles = train.loc[train["label"] == label, "title"]
        words = [word for text in titles for word in text.split()]
        log = np.log(len(titles) / len(train))
        for word in str(title).split():
            if word in vocabulary:
                log += np.log((words.count(word) + 1) / (len(words) + len(vocabulary)))
        logs.append(log)
    powers = np.exp(logs)
    assert frame.loc["003", "prob_1"] == pytest.approx(powers.max() / powers.sum())


def test_reference_protocol_drops_incomplete_rows(catalog: Catalog, split: Split, tmp_path: Path) -> None:
    frames = run(catalog, split, tmp_path / "run", protocol="reference")
    assert list(frames) == ["top3", "rest"]
    everything = run(catalog, split, tmp_path / "all")["top3"]["id"]
    # 003 has the text NA, 005 an empty cell, 007 was repaired.
    assert set(everything) - set(frames["top3"]["id"]) == {"003", "005", "007"}


def test_reference_protocol_without_a_complete_row(catalog: Catalog, split: Split, tmp_path: Path) -> None:
    file = tmp_path / "styles.csv"
    file.write_text(file.read_text().replace("Fall", "NA"))
    with pytest.raises(CatalogError, match="set protocol=all_rows"):
        run(catalog, split, tmp_path / "run", protocol="reference")


@pytest.mark.parametrize("layout", ["cp1252", "semicolons", "parquet"])
def test_reference_protocol_names_a_file_that_it_cannot_read(
    layout: str, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    file = tmp_path / "styles.csv"
    text = file.read_text()
    if layout == "parquet":
        pd.read_csv(file).to_parquet(file)
    else:
        text = text.replace("Fall", "Été") if layout == "cp1252" else text.replace(",", ";")
        file.write_text(text, encoding="cp1252")
    with pytest.raises(CatalogError, match=r"styles\.csv: .*; set protocol=all_rows"):
        run(catalog, split, tmp_path / "run", protocol="reference")


def test_a_table_of_unclear_separators_has_another_layout(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "styles.csv").write_text("sku,size;name,type\n1,2;3,4\n")
    assert not has_reference_layout(catalog)


def test_an_unknown_protocol_has_a_near_match() -> None:
    with pytest.raises(SettingsError, match="did you mean 'reference'"):
        load_settings(NaiveBayesConfig, None, ["protocol=referenc"], variant="nb", data="catalog")


@pytest.mark.real
def test_metrics_on_the_real_catalog(real_catalog_dir: Path, tmp_path: Path) -> None:
    catalog = read_catalog(real_catalog_dir)
    split = make_split(catalog)
    frames = run(catalog, split, tmp_path / "all")
    assert score(frames["top20"])["top1"] == pytest.approx(85.1277, abs=1e-4)
    assert score(frames["rest"])["top1"] == pytest.approx(40.5268, abs=1e-4)
    assert score(frames["joint"])["top1"] == pytest.approx(68.92, abs=0.005)
    frames = run(catalog, split, tmp_path / "reference", protocol="reference")
    assert score(frames["top20"])["top1"] == 85.2290783898305
    assert score(frames["rest"])["top1"] == 42.547477460195665
