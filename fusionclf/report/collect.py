"""Run folders → records. Runs that cannot be compared are refused by name."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fusionclf.config import read_yaml
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import read_predictions
from fusionclf.runfolder import is_finished, read_json


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Attributes:
        name: the folder's name, made longer where two folders share it.
        variant: name of the model.
        metrics, config, environment: the files of these names.
        split: split.json.
        log: rows of log.jsonl, one an epoch; empty for baselines.
        frames: predictions by part.
    """

    name: str
    variant: str
    metrics: dict[str, Any]
    config: dict[str, Any]
    environment: dict[str, Any]
    split: dict[str, Any]
    log: list[dict[str, Any]]
    frames: dict[str, pd.DataFrame]


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """Read finished runs of one split of one catalog.

    Raises:
        RunError: a folder is no finished run, is named twice, or is of another split or catalog.
    """
    if not folders:
        raise RunError("no run to compare; give run folders, such as runs/*")
    resolved = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, resolved, strict=True):
        if not folder.is_dir():
            raise RunError(f"{folder}: no such run folder")
        if resolved.count(place) > 1:
            raise RunError(f"{folder}: is given twice; name each run once")
        if not is_finished(folder):
            raise RunError(f"{folder}: not a finished run (no metrics.json); go on with it by --resume, or leave it out")
    runs = [_read(folder, name) for folder, name in zip(folders, _names(resolved), strict=True)]
    _refuse_mixed(runs)
    return runs


def _names(folders: Sequence[Path]) -> list[str]:
    names = [folder.name for folder in folders]
    return [f.name if names.count(f.name) == 1 else f"{f.parent.name}/{f.name}" for f in folders]


def _read(folder: Path, name: str) -> Run:
    metrics = read_json(folder / "metrics.json")
    try:
        parts = [*metrics["parts"], *(["joint"] if metrics["joint"].get("top1") is not None else [])]
        variant = str(metrics["variant"])
        config = read_yaml(folder / "config.yaml")
    except (KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{folder}/metrics.json: lacks {error}; make the run again") from error
    except SettingsError as error:
        raise RunError(str(error)) from error
    split = read_json(folder / "split.json")
    if not isinstance(split, dict) or not {"sha256", "catalog_sha256", "spec", "classes", "ids"} <= split.keys():
        raise RunError(f"{folder}/split.json: not a split; make the run again")
    frames = {part: read_predictions(folder / "predictions" / f"{part}.parquet") for part in parts}
    return Run(
        name, variant, metrics, config, read_json(folder / "environment.json"), split, _log(folder / "log.jsonl"), frames
    )


def _log(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    try:
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}); make the run again") from error


def _refuse_mixed(runs: Sequence[Run]) -> None:
    for key, what in (("catalog_sha256", "catalog"), ("sha256", "split")):
        odd = [run.name for run in runs if run.split[key] != runs[0].split[key]]
        if odd:
            raise RunError(
                f"{', '.join(odd)}: of another {what} than {runs[0].name}; compare runs of one {what}, "
                "or make them again with the same split.* and catalog.* settings"
            )
