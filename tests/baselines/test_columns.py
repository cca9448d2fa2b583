"""Features of several fields: texts without words get no block, and bins are the same in every run."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import rich.console
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer

import fusionclf
from baselines import find_baseline
from baselines.columns import features_of
from baselines.loaded import LoadedBaseline
from fusionclf.catalog import Catalog, Split
from fusionclf.catalog.fields import Fields, field_table
from fusionclf.config import load_settings
from fusionclf.console import Console
from fusionclf.errors import CatalogError
from fusionclf.evaluation.metrics import score
from fusionclf.workflows.baseline import run_baseline
from tests.fields import SETTINGS, WORDS, write_shop

both = pytest.mark.parametrize("name", ["linear", "nb"])
FIELDS = Fields(("description",))


def with_descriptions(catalog: Catalog, descriptions: list[str], title: str | None = "name") -> Catalog:
    """The catalog with a description for each product, and no titles where `title` is None."""
    columns = catalog.columns.model_copy(update={"title": title, "text": FIELDS.text})
    table = catalog.table if title else catalog.table.assign(title="")
    fields = field_table(table["title"].tolist(), {"description": descriptions})
    return replace(catalog, columns=columns, table=table, fields=fields)


def run(name: str, catalog: Catalog, split: Split, folder: Path) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """Predictions by part, and the lines on the console."""
    console = Console()
    console.rich = rich.console.Console(file=(out := io.StringIO()), width=200)
    baseline = find_baseline(name)
    settings = load_settings(baseline.settings, None, (), variant=name, data="catalog")
    frames, *_ = baseline.run(settings, catalog, split, folder, console)
    return frames, out.getvalue().splitlines()


@both
def test_a_catalog_without_titles_is_read(name: str, catalog: Catalog, split: Split, tmp_path: Path) -> None:
    described = with_descriptions(catalog, catalog.table["title"].tolist(), title=None)
    frames, lines = run(name, described, split, tmp_path)
    assert score(frames["rest"])["seen"] == 100.0
    assert lines == []  # the settings say that there are no titles
    model = LoadedBaseline(tmp_path / "model", "joint", FIELDS)
    rows = split.rows(described, None, "test")
    assert model.probabilities(described.fields.iloc[rows]).max(axis=1) == pytest.approx(
        frames["joint"]["prob_1"].to_numpy()
    )


@both
def test_a_part_without_descriptions_reads_titles(
    name: str, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    in_first = catalog.table["label"].isin(split.classes["top3"])
    texts = np.where(in_first, "", "fine " + catalog.table["label"]).tolist()
    frames, lines = run(name, with_descriptions(catalog, texts), split, tmp_path)
    titles, _ = run(name, catalog, split, tmp_path / "titles")
    assert lines == [
        "warning: part 'top3': the train products hold no word to learn in 'description'; left out of its model"
    ]
    assert frames["top3"]["prob_1"].to_numpy() == pytest.approx(titles["top3"]["prob_1"].to_numpy())
    given = field_table(["red shirts"] * 2, {"description": ["", "fine Belts"]})
    top, rest = (LoadedBaseline(tmp_path / "model", part, FIELDS) for part in ("top3", "rest"))
    assert top.probabilities(given)[0] == pytest.approx(top.probabilities(given)[1])
    assert np.abs(np.diff(rest.probabilities(given), axis=0)).max() > 0.01


def test_linear_leaves_out_words_that_occur_once(catalog: Catalog, split: Split, tmp_path: Path) -> None:
    texts = [f"word{number}" for number in range(len(catalog))]
    _, lines = run("linear", with_descriptions(catalog, texts), split, tmp_path)
    assert [line.split(":")[1] for line in lines] == [" part 'top3'", " part 'rest'", " part 'joint'"]


@both
def test_columns_without_any_word_are_named(
    name: str, catalog: Catalog, split: Split, tmp_path: Path
) -> None:
    catalog.table["title"] = "?" if name == "nb" else ""
    marks = [chr(0x4E00 + number) if name == "linear" else "!" for number in range(len(catalog))]
    with pytest.raises(CatalogError, match=r"'top3': .* in 'name', 'description'; check catalog\.title and"):
        run(name, with_descriptions(catalog, marks), split, tmp_path)


@pytest.mark.slow
def test_a_run_without_titles_predicts_and_explains(tmp_path: Path) -> None:
    data = write_shop(tmp_path / "shop")
    run_baseline("linear", data, tmp_path / "run", overrides=(*SETTINGS, "catalog.title=null"))
    model = fusionclf.load(tmp_path / "run", device="cpu")
    stories = {"story": [f"It {text}" for text in WORDS.values()]}
    assert [labels[0] for labels in model.predict(fields=stories).labels] == list(WORDS)
    found = fusionclf.explain(model, fields={"story": "It gives light", "maker": "Sitta"}, label="Lamp")
    assert (found.fields["story"].drop or 0) > 0.1


def test_bins_of_many_numbers_are_those_of_all() -> None:
    numbers = np.random.default_rng(0).lognormal(size=(200_001, 1))  # scikit-learn samples from 200,001 on
    few = field_table(["shoe"] * 20, {"price": [str(number) for number in range(20)]})
    blocks = features_of(few, Fields(attributes=("price",)), CountVectorizer(), CountVectorizer())
    assert isinstance(blocks, ColumnTransformer)
    bins: Any = next(block for kind, block, _ in blocks.transformers if kind == "number_0")
    edges = bins.fit(numbers)[-1].bin_edges_[0]
    assert edges == pytest.approx(np.quantile(numbers, np.linspace(0, 1, 9)))
