"""Networks of titles and of pictures that are asked about products of brands that they did not see."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import SplitConfig
from fusionclf.errors import SettingsError
from fusionclf.stacking import stage_runner as stages
from fusionclf.training import StageState
from fusionclf.workflows import cross_fitting
from fusionclf.workflows.train import train
from tests.small import small_late_fusion

FOLDS = [f"joint-titles-{number}" for number in (1, 2, 3)]


class GotThere(Exception):
    """A run got as far as a test needs it to."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))


def test_title_logits_come_from_a_fold_without_the_brand(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[str, np.ndarray] = {}
    asked: dict[str, np.ndarray] = {}
    given: dict[str, Any] = {}

    def train_stage(model: Any, source: Any, rows: np.ndarray, *_: Any, stage: str, **__: Any) -> StageState:
        trained[stage] = rows
        return StageState()

    def predict_logits(model: Any, source: Any, rows: np.ndarray, *_: Any) -> torch.Tensor:
        assert source.pictures is None and source.features is None
        asked[list(trained)[-1]] = rows
        return torch.from_numpy(rows)[:, None].float()

    def fit_vocabulary(
        model: Any, source: Any, catalog: Any, rows: np.ndarray, *words: Any, **_: Any
    ) -> None:
        given.update(rows=rows, of_titles=words[-2])
        raise GotThere

    monkeypatch.setattr(stages, "train_stage", train_stage)
    monkeypatch.setattr(stages, "fit_vocabulary", fit_vocabulary)
    monkeypatch.setattr(cross_fitting, "predict_logits", predict_logits)
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=named", "model.title_network=true")
    with pytest.raises(GotThere):
        train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    catalog = read_catalog(sample_dir)
    brand = catalog.table["title"].str.lower().str.split().str[0].to_numpy(object)
    assert list(trained) == ["joint", *FOLDS, "joint-titles"] and list(asked) == FOLDS
    for name in FOLDS:
        assert len(trained[name]) and len(asked[name])
        assert not set(brand[trained[name]]) & set(brand[asked[name]])
    split = make_split(catalog, SplitConfig())
    rows = np.concatenate([split.rows(catalog, None, name) for name in ("train", "validation")])
    assert np.array_equal(given["rows"], rows)
    assert np.array_equal(given["of_titles"][:, 0].numpy(), rows)
    assert np.array_equal(trained["joint-titles"], split.rows(catalog, None, "train"))


@pytest.mark.slow
def test_resumed_run_reuses_its_title_networks(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=named", "model.title_network=true",
             "train.epochs=1", "title_stage.epochs=1")  # fmt: skip
    real, given = stages.train_stage, {}

    def cut(*told: Any, stage: str, **words: Any) -> StageState:
        if stage == "joint-titles-2":
            raise KeyboardInterrupt
        return real(*told, stage=stage, **words)

    def fit_vocabulary(model: Any, *told: Any, **_: Any) -> None:
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        given[len(given)] = (weights, told[-2])
        raise GotThere

    run = tmp_path / "run"
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(stages, "train_stage", cut)
        train("fusion", sample_dir, run, overrides=words, cpu=True)
    monkeypatch.setattr(stages, "fit_vocabulary", fit_vocabulary)
    for folder in (run, tmp_path / "uncut"):
        with pytest.raises(GotThere):
            train("fusion", sample_dir, folder, overrides=words, cpu=True, resume=folder == run)
    (resumed, said), (uncut, said_uncut) = given.values()
    assert torch.equal(said, said_uncut)
    assert all(torch.equal(resumed[name], value) for name, value in uncut.items())
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [row["stage"] for row in log] == ["joint", *FOLDS, "joint-titles"]
    # The copy learned, and what titles are compared with names by is as it was.
    start = load_file(tiny_bert / "model.safetensors")["encoder.layer.1.output.dense.weight"]
    place = "network.encoder.layer.1.output.dense.weight"
    assert torch.equal(resumed[f"wide.encoder.{place}"], start)
    assert not torch.equal(resumed[f"title_network.text.{place}"], start)


def test_picture_logits_come_from_a_fold_without_the_brand(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds, head = [f"joint-{number}" for number in (1, 2, 3)], "heads.label.weight"
    trained: dict[str, np.ndarray] = {}
    began: list[torch.Tensor] = []
    given: dict[str, Any] = {}

    def train_stage(model: Any, source: Any, rows: np.ndarray, *_: Any, stage: str, **__: Any) -> StageState:
        trained[stage] = rows
        weights = model.state_dict()[head]
        began.append(weights.clone())
        weights.add_(len(trained))  # as if it had learned
        return StageState()

    def predict_logits(model: Any, source: Any, rows: np.ndarray, *_: Any) -> torch.Tensor:
        assert source.pictures is not None and source.titles is None
        last = list(trained)[-1]
        assert last in folds and not set(brand[rows]) & set(brand[trained[last]])
        return torch.from_numpy(rows)[:, None].float()

    def fit_vocabulary(
        model: Any, source: Any, catalog: Any, rows: np.ndarray, *words: Any, **_: Any
    ) -> None:
        given.update(rows=rows, of_pictures=words[-1], head=model.state_dict()[head].clone())
        raise GotThere

    brand = read_catalog(sample_dir).table["title"].str.lower().str.split().str[0].to_numpy(object)
    monkeypatch.setattr(stages, "train_stage", train_stage)
    monkeypatch.setattr(stages, "fit_vocabulary", fit_vocabulary)
    monkeypatch.setattr(cross_fitting, "predict_logits", predict_logits)
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=named", "model.cross_fitted=true")
    with pytest.raises(GotThere):
        train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert list(trained) == [*folds, "joint"]
    assert all(torch.equal(start, began[0]) for start in began)
    assert torch.equal(given["head"], began[0] + len(trained))  # the last is kept, which saw all brands
    assert np.array_equal(given["of_pictures"][:, 0].numpy(), given["rows"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("model.vocabulary=open", "model.cross_fitted=true"), "model.cross_fitted=true: is for a named"),
        (("model.vocabulary=closed",), "model.title_network=true: is heard by a vocabulary"),
        (("model.vocabulary=named", "title_stage.epoch=1"), r"title_stage\.epoch"),
        (("model.vocabulary=named", "title_stage.precision=fp32"), "title_stage.precision: is one for all"),
    ],
)
def test_wrong_settings_are_refused_before_writing(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    told = (*small_late_fusion(tiny_bert), "model.title_network=true", *words)
    with pytest.raises(SettingsError, match=said):
        train("fusion", sample_dir, tmp_path / "run", overrides=told, cpu=True)
    assert not (tmp_path / "run").exists()
