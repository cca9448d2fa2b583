"""Auxiliary tasks of a run: stored, scored, calibrated, the same after an interruption."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog import Split, read_catalog
from fusionclf.config import CatalogConfig
from fusionclf.evaluation.column_answers import score_columns
from fusionclf.prediction import load
from fusionclf.stacking import auxiliary as module
from fusionclf.stacking.stage_runner import StageRunner
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train
from tests.small import IMAGE, TEXT

COLUMNS = "model.auxiliary={baseColour: 1.0, type: 0.5}"
WORDS = (*IMAGE, "train.epochs=1", "train.precision=fp32", COLUMNS)


@pytest.fixture(scope="module")
def shop(sample_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample catalog with a column `type`, whose every third cell is empty; `catalog.metadata` does not name it."""
    folder = tmp_path_factory.mktemp("shop") / "catalog"
    shutil.copytree(sample_dir, folder)
    lines = (folder / "styles.csv").read_text(encoding="utf-8").splitlines()
    types = ["type", *(("", "new", "old")[n % 3] for n in range(len(lines) - 1))]
    rows = [f"{kind},{line}" for kind, line in zip(types, lines, strict=True)]
    (folder / "styles.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def run(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of two stages."""
    folder = tmp_path_factory.mktemp("runs") / "multitask"
    train("multitask", shop, folder, overrides=WORDS, cpu=True)
    return folder


def answers(run: Path, part: str) -> pd.DataFrame:
    return pd.read_parquet(run / "answers" / f"{part}.parquet")


@pytest.mark.slow
def test_every_test_product_of_a_part_is_answered(run: Path, shop: Path) -> None:
    split = Split.load(run / "split.json")
    values = read_catalog(shop, CatalogConfig(metadata=("baseColour", "type"))).table.set_index("id")
    for part, ids in split.ids.items():
        rows = answers(run, part)
        assert rows["column"].unique().tolist() == ["baseColour", "type"]
        for subset in ("test", "validation"):
            mine = rows[(rows["subset"] == subset) & (rows["column"] == "type")]
            assert mine["id"].tolist() == list(ids[subset])
            assert mine["value"].tolist() == values.loc[mine["id"], "type"].tolist()
        fitted = values.loc[[*ids["train"], *ids["validation"]], "baseColour"]
        colours = rows[(rows["subset"] == "test") & (rows["column"] == "baseColour")]
        assert fitted.value_counts()[colours["majority"].tolist()[0]] == fitted.value_counts().max()


@pytest.mark.slow
def test_metrics_are_those_of_the_stored_rows(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())["answers"]
    assert list(metrics) == ["top20", "rest"]
    for part, columns in metrics.items():
        assert columns == score_columns(answers(run, part))
        rows = answers(run, part)
        mine = rows[(rows["subset"] == "test") & (rows["column"] == "type")]
        assert columns["type"]["empty"] == (mine["value"] == "").sum() > 0
        assert columns["type"]["n"] + columns["type"]["empty"] == len(mine)


@pytest.mark.slow
def test_each_column_of_each_stage_has_its_temperature(run: Path) -> None:
    labels = json.loads((run / "model" / "labels.json").read_text())
    found = {part: own["temperatures"] for part, own in labels.items()}
    assert all(list(own) == ["baseColour", "type"] for own in found.values())
    assert len({value for own in found.values() for value in own.values()}) == 4


@pytest.mark.slow
def test_each_parts_model_answers_as_its_stage(run: Path, shop: Path) -> None:
    catalog = read_catalog(shop)
    for part in ("top20", "rest"):
        rows = answers(run, part)
        mine = rows[(rows["subset"] == "test") & (rows["column"] == "baseColour")].iloc[:8]
        places = pd.Index(catalog.table["id"]).get_indexer(pd.Index(mine["id"]))
        found = load(run, part=part, device="cpu").predict(catalog.picture_paths(places))
        assert found.further["baseColour"].probabilities == pytest.approx(mine["prob_1"].to_numpy(), abs=1e-4)


@pytest.mark.slow
def test_a_resumed_run_has_the_same_answers(
    run: Path, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = StageRunner._test_logits

    def cut(self: StageRunner, *given: object) -> object:
        if len(self.answers) == 1:
            raise KeyboardInterrupt
        return original(self, *given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(StageRunner, "_test_logits", cut)
    with pytest.raises(KeyboardInterrupt):
        train("multitask", shop, tmp_path / "run", overrides=WORDS, cpu=True)
    monkeypatch.setattr(StageRunner, "_test_logits", original)
    monkeypatch.setattr(module, "fit_temperature", lambda *_: pytest.fail("fitted again"))
    options = TrainOptions(existing=ExistingRun(resume=True))
    metrics = train("multitask", shop, tmp_path / "run", overrides=WORDS, cpu=True, options=options)
    assert metrics["answers"] == json.loads((run / "metrics.json").read_text())["answers"]
    for part in ("top20", "rest"):
        pd.testing.assert_frame_equal(answers(tmp_path / "run", part), answers(run, part))


@pytest.mark.slow
def test_one_model_answers_all_classes_and_each_part(sample_dir: Path, tmp_path: Path) -> None:
    words = (*IMAGE, *TEXT, "scheme=single_stage", "train.epochs=1", "model.hidden=16", "model.fuser=gated",
             "model.auxiliary={gender: 0.5}")  # fmt: skip
    metrics = train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert set(metrics["answers"]) == {"joint", "top20", "rest"}
    whole, parts = (
        answers(tmp_path / "run", "joint"),
        [answers(tmp_path / "run", p) for p in ("top20", "rest")],
    )
    together = pd.concat(parts).set_index(["id", "subset"])["prob_1"].sort_index()
    np.testing.assert_array_equal(together, whole.set_index(["id", "subset"])["prob_1"].sort_index())
