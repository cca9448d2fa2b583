"""What a whole run promises: features once, finished work never again, stage three, a tracker, launch files."""

import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from fusionclf.config import TrainConfig
from fusionclf.config.shipped import config_folder
from fusionclf.errors import RunError, SettingsError, Stopped, Terminated
from fusionclf.stacking import base_training
from fusionclf.stacking import run_inputs as inputs
from fusionclf.stacking import stage_runner as stages
from fusionclf.stacking.stage_files import StageFiles
from fusionclf.training import StageSpec
from fusionclf.workflows import study
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train
from tests.small import IMAGE

RESUME = TrainOptions(existing=ExistingRun(resume=True))

PICTURES = (*IMAGE, "train.epochs=2", "train.batch_size=32", "train.precision=fp32")
FROZEN = (
    *PICTURES,
    "model.image.frozen=true",
    "model.image.normalise=true",
    "train.optimiser.learning_rate=0.01",
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))


def predictions(folder: Path, part: str) -> pd.DataFrame:
    return pd.read_parquet(folder / "predictions" / f"{part}.parquet")


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_frozen_encoder_predicts_equally_with_cached_features(sample_dir: Path, tmp_path: Path) -> None:
    kept, fresh = tmp_path / "kept", tmp_path / "fresh"
    words = (*FROZEN, "train.epochs=6")
    train("image", sample_dir, kept, overrides=words, cpu=True)
    train("image", sample_dir, fresh, overrides=(*words, "train.cache_features=false"), cpu=True)
    assert files(kept) == files(fresh)
    assert list((tmp_path / "cache" / "features" / "pictures").iterdir())
    for part in ("top20", "rest"):
        ours, theirs = predictions(kept, part), predictions(fresh, part)
        assert ours["label_1"].tolist() == theirs["label_1"].tolist()
        assert np.allclose(ours["prob_1"].to_numpy(), theirs["prob_1"].to_numpy(), atol=1e-4)
    assert len(set(predictions(kept, "top20")["label_1"])) > 1


@pytest.mark.slow
def test_each_normalisation_has_its_own_cached_features(sample_dir: Path, tmp_path: Path) -> None:
    words = (*FROZEN, "scheme=single_stage", "train.epochs=1")
    for name in ("imagenet", "inception"):
        overrides = (*words, f"pictures.normalisation={name}")
        train("image", sample_dir, tmp_path / name, overrides=overrides, cpu=True)
    assert len(list((tmp_path / "cache" / "features" / "pictures").iterdir())) == 2


@pytest.mark.slow
def test_regions_and_whole_picture_have_separate_features(sample_dir: Path, tmp_path: Path) -> None:
    words = (*FROZEN, "scheme=single_stage", "train.epochs=1", "model.text.buckets=4096", "model.text.dim=16")
    train("fusion", sample_dir, tmp_path / "whole", overrides=words, cpu=True)
    regions = (*words, "model.fuser=attention", "model.image.regions=2")
    metrics = train("fusion", sample_dir, tmp_path / "regions", overrides=regions, cpu=True)
    assert metrics["joint"]["top1"] is not None
    assert len(list((tmp_path / "cache" / "features" / "pictures").iterdir())) == 2


@pytest.mark.slow
def test_second_run_reuses_cached_features(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train("image", sample_dir, tmp_path / "first", overrides=FROZEN, cpu=True)
    monkeypatch.setattr(inputs, "iterate_features", lambda *_: pytest.fail("computed again"))
    auxiliary = "model.auxiliary={masterCategory: 0.5}"
    train("multitask", sample_dir, tmp_path / "second", overrides=(*FROZEN, auxiliary), cpu=True)
    cost = [json.loads((tmp_path / run / "environment.json").read_text()) for run in ("first", "second")]
    # What the features took counts as a part of predicting, whoever computed them.
    assert cost[1]["predict_seconds"] > 0.5 * cost[0]["predict_seconds"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "words", "message"),
    [
        (
            "image",
            ("model.image.frozen=true", "train.augment=trivial"),
            r"train\.augment: features of a frozen",
        ),
        ("image", ("model.image.frozen=true", "train.mixup=0.2"), r"train\.mixup: features of a frozen"),
        ("fusion", ("train.cutmix=1.0",), r"train\.cutmix: titles cannot be mixed.*model\.fuser=late"),
        ("text", ("train.mixup=0.2",), r"train\.mixup: this model reads no pictures"),
        ("text", ("train.batch_size=1",), r"train\.batch_size=1 and .* need 2 products a batch"),
        ("text", ("train.ema=0.9",), r"'train\.ema': did you mean 'ema_decay'"),
        ("fusion", ("stage2.mixup=0.2",), r"stage2\.mixup: titles cannot be mixed"),
        (
            "image",
            ("model.image.frozen=true", "stage3_classes=3", "stage3.cutmix=1.0"),
            r"stage3\.cutmix: features of a frozen",
        ),
        (
            "image",
            ("stage2.precision=bf16",),
            r"stage2\.precision: is the same for all stages; set train\.precision",
        ),
        ("image", ("stage3_classes=3", "stage3.freeze_epochs=9"), r"^stage3\.freeze_epochs=9: must be fewer"),
    ],
)
def test_impossible_settings_are_refused_before_writing(
    variant: str, words: tuple[str, ...], message: str, sample_dir: Path, tmp_path: Path
) -> None:
    pictures = () if variant == "text" else PICTURES
    with pytest.raises(SettingsError, match=message):
        train(variant, sample_dir, tmp_path / "run", overrides=(*pictures, *words), cpu=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_stage_three_trains_only_on_the_smallest_classes(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: dict[str, np.ndarray] = {}
    original = base_training.train_stage

    def look(
        model: Any, source: Any, spec: StageSpec, settings: TrainConfig, accelerator: Any, progress: Any
    ) -> Any:
        trained[spec.name] = source.targets["label"][spec.train_rows]
        if spec.name == "rest-smallest":
            assert settings.augment == "trivial" and settings.epochs == 1
        return original(model, source, spec, settings, accelerator, progress)

    monkeypatch.setattr(base_training, "train_stage", look)
    words = (*PICTURES, "stage3_classes=3", "stage3.epochs=1")
    train("image", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert list(trained) == ["top20", "rest", "rest-smallest"]
    counts = np.sort(np.unique(trained["rest"], return_counts=True)[1])
    assert len(np.unique(trained["rest-smallest"])) == 3
    assert len(trained["rest-smallest"]) == counts[:3].sum()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {row["stage"] for row in log} == set(trained)


@pytest.mark.slow
def test_resumed_run_repeats_no_finished_work(
    sample_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("model.text.buckets=4096", "model.text.dim=16", "train.epochs=2")
    whole = train("text", sample_dir, tmp_path / "whole", overrides=words, cpu=True)
    run, original = tmp_path / "run", stages.StageRunner._test_logits

    def cut(self: Any, *given: Any) -> Any:
        if isinstance(given[-1], StageFiles) and given[-1].stage == "rest":
            raise KeyboardInterrupt
        return original(self, *given)

    monkeypatch.setattr(stages.StageRunner, "_test_logits", cut)
    with pytest.raises(KeyboardInterrupt):
        train("text", sample_dir, run, overrides=words, cpu=True)
    monkeypatch.setattr(stages.StageRunner, "_test_logits", original)
    predict, counts = stages.predict_tasks, []

    def count(model: Any, source: Any, rows: np.ndarray, *others: Any) -> Any:
        counts.append(len(rows))
        return predict(model, source, rows, *others)

    monkeypatch.setattr(stages, "predict_tasks", count)
    monkeypatch.setattr(stages, "fit_label_temperature", lambda *_: pytest.fail("fitted again"))
    resumed = train("text", sample_dir, run, overrides=words, cpu=True, options=RESUME)
    assert counts == [whole["parts"]["rest"]["n"]]
    assert resumed["parts"] == whole["parts"]
    for part in ("top20", "rest"):
        pd.testing.assert_frame_equal(predictions(run, part), predictions(tmp_path / "whole", part))


def test_resume_on_another_catalog_is_refused(sample_dir: Path, tmp_path: Path) -> None:
    words = ("model.text.buckets=4096", "model.text.dim=16", "train.epochs=1")
    data = tmp_path / "catalog"
    shutil.copytree(sample_dir, data)
    train("text", data, tmp_path / "run", overrides=words, cpu=True)
    (tmp_path / "run" / "metrics.json").unlink()  # as if it had been cut off at the end
    lines = (data / "styles.csv").read_text().splitlines()
    (data / "styles.csv").write_text("\n".join(lines[:-5]) + "\n")
    with pytest.raises(RunError, match=r"the catalog has changed.*--overwrite"):
        train("text", data, tmp_path / "run", overrides=words, cpu=True, options=RESUME)


@pytest.mark.slow
def test_stopped_study_waits_until_its_run_is_saved(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time, pathlib\n"
        "def stop(*_):\n time.sleep(0.6); pathlib.Path(sys.argv[1]).write_text('saved'); sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('ready', flush=True)\ntime.sleep(30)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "saved")]

    def terminate(*_: Any) -> None:
        raise Terminated

    before = signal.signal(signal.SIGALRM, terminate)
    signal.setitimer(signal.ITIMER_REAL, 1.0)
    try:
        with pytest.raises(Stopped, match="run the same command again") as caught:
            study._run(command)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert caught.value.exit_code == 143 and (tmp_path / "saved").read_text() == "saved"
    with pytest.raises(Stopped):  # a run that was stopped itself stops the study too
        study._run([sys.executable, "-c", "raise SystemExit(130)"])
    assert study._run([sys.executable, "-c", "raise SystemExit(2)"]) == 2


def test_tracker_receives_every_epoch(sample_dir: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = ("model.text.buckets=4096", "model.text.dim=16", "train.epochs=3")
    train(
        "text",
        sample_dir,
        tmp_path / "run",
        overrides=words,
        cpu=True,
        options=TrainOptions(track="tensorboard"),
    )
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    tracked = [event.value for event in events.Scalars("top20/train_loss")]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert tracked == pytest.approx([row["train_loss"] for row in log if row["stage"] == "top20"])


def test_unknown_tracker_is_refused_with_the_near_match(sample_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"--track 'tensorbord'.*did you mean 'tensorboard'"):
        train("text", sample_dir, tmp_path / "run", cpu=True, options=TrainOptions(track="tensorbord"))


@pytest.mark.parametrize(
    ("name", "processes", "machines"), [("one-gpu", 1, 1), ("eight-gpus", 8, 1), ("two-machines", 16, 2)]
)
def test_accelerate_reads_the_launch_files(name: str, processes: int, machines: int) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    file = config_folder() / "accelerate" / f"{name}.yaml"
    read: Any = load_config_from_file(str(file))
    assert (read.num_processes, getattr(read, "num_machines", 1)) == (processes, machines)
    assert not set(yaml.safe_load(file.read_text())) - set(vars(read))
    assert f"--config_file configs/accelerate/{name}.yaml -m fusionclf train" in file.read_text().replace(
        " \\\n#       ", " "
    ).replace("--machine_rank 0 --main_process_ip ADDRESS ", "")
