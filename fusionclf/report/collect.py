"""Run folders → records. Runs that cannot be compared are refused by name."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fusionclf.config import read_yaml
from fusionclf.errors import RunError, SettingsError, near_path
from fusionclf.evaluation import read_predictions
from fusionclf.evaluation.metrics import JOINT
from fusionclf.runfolder import is_finished, read_json

METRICS_KEYS = ("variant", "parts", "joint", "intervals", "slices", "per_class")
SPLIT_KEYS = ("sha256", "catalog_sha256", "spec", "classes", "ids")


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Attributes:
        name: the folder's name, with its parent's where two folders share it.
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

    def scores(self, part: str) -> dict[str, Any] | None:
        """The metrics of a part or of `joint`; None where the run has none."""
        if part not in self.frames:
            return None
        return self.metrics["joint"] if part == JOINT else self.metrics["parts"][part]

    def top1(self, part: str) -> float:
        """For ranking: -1 where the run did not score the part."""
        scores = self.scores(part)
        return -1.0 if scores is None or scores["top1"] is None else scores["top1"]


def read_runs(folders: Sequence[Path], *, one_split: bool = True) -> list[Run]:
    """Read finished runs of one catalog and, unless told otherwise, of one split of it.

    Raises:
        RunError: a folder is no finished run, is damaged, is named twice, or is of another split or catalog.
    """
    if not folders:
        raise RunError("no run to compare; give run folders, such as runs/*")
    places = [folder.resolve() for folder in folders]
    for folder, place in zip(folders, places, strict=True):
        if not folder.is_dir():
            raise RunError(
                f"{folder}: no such run folder; give folders that hold a metrics.json{near_path(folder)}"
            )
        if places.count(place) > 1:
            raise RunError(f"{folder}: is given twice; name each run once")
    unfinished = [str(folder) for folder in folders if not is_finished(folder)]
    if unfinished:
        raise RunError(
            f"{', '.join(unfinished)}: not finished (no metrics.json); finish with --resume, or leave out"
        )
    runs = [_read(folder, name) for folder, name in zip(folders, _names(places), strict=True)]
    _refuse_mixed(runs, one_split)
    return runs


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names; with as many parents as it takes to tell two of one name apart."""
    depth = 1
    while True:
        names = ["/".join(folder.parts[-depth:]) for folder in folders]
        if len(set(names)) == len(names):
            own = [folder.name for folder in folders]
            return [
                folder if own.count(folder) == 1 else long for folder, long in zip(own, names, strict=True)
            ]
        depth += 1


def _read(folder: Path, name: str) -> Run:
    metrics = _read_mapping(folder / "metrics.json", METRICS_KEYS)
    split = _read_mapping(folder / "split.json", SPLIT_KEYS)
    try:
        config = read_yaml(folder / "config.yaml")
    except SettingsError as error:
        raise RunError(str(error)) from error
    parts = [*metrics["parts"], *([JOINT] if metrics["joint"].get("top1") is not None else [])]
    unknown = [part for part in parts if part not in (*split["classes"], JOINT)]
    if unknown:
        raise RunError(f"{folder}: part {unknown[0]!r} is not in its split.json; make the run again")
    frames = {part: read_predictions(folder / "predictions" / f"{part}.parquet") for part in parts}
    environment = _read_mapping(folder / "environment.json", ())
    log = _log(folder / "log.jsonl")
    run = Run(name, str(metrics["variant"]), metrics, config, environment, split, log, frames)
    for part, frame in frames.items():
        if (run.scores(part) or {}).get("n") != len(frame):
            file = f"{folder}/predictions/{part}.parquet"
            raise RunError(f"{file}: {len(frame)} products, metrics.json tells of others; make the run again")
    return run


def _read_mapping(file: Path, keys: Sequence[str]) -> dict[str, Any]:
    value = read_json(file)
    missing = [key for key in keys if key not in value] if isinstance(value, dict) else ["mapping"]
    if missing:
        raise RunError(f"{file}: holds no {missing[0]!r}; make the run again with this version")
    for key in keys:
        if key not in ("variant", "sha256", "catalog_sha256") and not isinstance(value[key], dict):
            raise RunError(f"{file}: {key!r} is no mapping; make the run again with this version")
    return value


def _log(file: Path) -> list[dict[str, Any]]:
    """Rows of log.jsonl; a figure that is no finite number becomes None."""
    if not file.is_file():
        return []
    try:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
        return [{"stage": str(row["stage"]), **_finite(row)} for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{file}: cannot be read ({error!r}); make the run again") from error


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    names = ("epoch", "train_loss", "val_loss", "val_top1", "learning_rate", "seconds", "pictures_per_second")
    numbers = {name: row.get(name) for name in names}
    return {
        name: n if isinstance(n, int | float) and math.isfinite(n) else None for name, n in numbers.items()
    }


def _refuse_mixed(runs: Sequence[Run], one_split: bool) -> None:
    for key, what in (("catalog_sha256", "catalog"), *([("sha256", "split")] if one_split else [])):
        odd = [run.name for run in runs if run.split[key] != runs[0].split[key]]
        if odd:
            raise RunError(
                f"{', '.join(odd)}: of another {what} than {runs[0].name}; compare runs of one {what}, "
                "or make them again with the same split.* and catalog.* settings"
            )
