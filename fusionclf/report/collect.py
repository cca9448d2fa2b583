"""Run folders → `Run` records. Runs that cannot be compared raise an error that names them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from fusionclf.catalog import Split
from fusionclf.errors import RunError, near_path
from fusionclf.evaluation import correct, read_predictions
from fusionclf.metrics_schema import METRICS, Metrics
from fusionclf.run_schema import (
    ALL_CLASSES,
    ENVIRONMENT,
    LOG_ROW,
    SPLIT,
    Environment,
    SplitFile,
    read_config,
)
from fusionclf.runfolder import AGAIN, check_finished, one_line, parse_json_as, read_bytes, read_json_as

Subset = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class Run:
    """The content of a run folder.

    Attributes:
        name: the folder's name, with that of its parent where two folders have the same name.
        variant: name of the model.
        metrics, config, environment: the content of these files.
        split: split.json.
        log: rows of log.jsonl, one an epoch; empty for baselines.
        frames: predictions by part.
        folder: the run folder.
    """

    name: str
    variant: str
    metrics: Metrics
    config: dict[str, Any]
    environment: Environment
    split: SplitFile
    log: list[dict[str, Any]]
    frames: dict[str, pd.DataFrame]
    folder: Path

    def scores(self, part: str) -> dict[str, Any] | None:
        """The metrics of a part or of ALL_CLASSES; None where the run did not score it."""
        if part not in self.frames:
            return None
        return dict(self.metrics[ALL_CLASSES] if part == ALL_CLASSES else self.metrics["parts"][part])

    def top1(self, part: str) -> float:
        """Top-1 for ranking; -1 where the run did not score the part."""
        scores = self.scores(part)
        return -1.0 if scores is None or scores["top1"] is None else scores["top1"]


def read_runs(folders: Sequence[Path], *, one_split: bool = True, one_catalog: bool = True) -> list[Run]:
    """Finished runs that may be read together.

    Args:
        folders: run folders.
        one_split: runs of one catalog must have one split.
        one_catalog: all must be of one catalog; False: runs of several must have the same test products.

    Raises:
        RunError: a folder is not a finished run, is damaged, is given twice, or is of another split or catalog.
    """
    names = check_folders(folders)
    runs = [_read(folder, name) for folder, name in zip(folders, names, strict=True)]
    if one_catalog:
        check_same_catalog(runs)
    else:
        check_same_test_products(runs)
    if one_split:
        check_same_split(runs)
    return runs


def check_folders(folders: Sequence[Path]) -> list[str]:
    """The runs' names in a report.

    Raises:
        RunError: there is no folder, one is not a finished run, or one is given twice.
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
    check_finished(*folders)
    return _names(places)


def _names(folders: Sequence[Path]) -> list[str]:
    """Folder names, with as many parents as are needed to make them unique."""
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
    metrics = read_json_as(folder / "metrics.json", METRICS)
    if "multilabel" in metrics:
        raise RunError(
            f"{folder}: predicts several labels per product (catalog.label_list); only `fusionclf compare` with runs "
            "of the same kind reads it"
        )
    split = read_split(folder)
    config = read_config(folder)
    parts = [*metrics["parts"], *([ALL_CLASSES] if metrics[ALL_CLASSES]["top1"] is not None else [])]
    unknown = [part for part in parts if part not in (*split["classes"], ALL_CLASSES)]
    if unknown or not parts:
        what = f"part {unknown[0]!r} is not in split.json" if unknown else "parts: no part was scored"
        raise RunError(one_line(f"{what}; {AGAIN}", folder / "metrics.json"))
    if not any(subsets["test"] for subsets in split["ids"].values()):
        raise RunError(
            f"{folder}: has no test products to be measured on; train with split.test_fraction above 0"
        )
    frames = {
        part: read_part(folder / "predictions" / f"{part}.parquet", split, part, ("test",)) for part in parts
    }
    environment = read_json_as(folder / "environment.json", ENVIRONMENT)
    log = read_log(folder / "log.jsonl")
    run = Run(name, metrics["variant"], metrics, config, environment, split, log, frames, folder)
    for part, frame in frames.items():
        _check_scores(folder, run, part, frame)
    return run


def read_split(folder: Path) -> SplitFile:
    """split.json of a run, with all of its settings.

    Raises:
        RunError: the file is missing or damaged.
    """
    split = read_json_as(folder / "split.json", SPLIT)
    try:
        split["spec"] = Split.from_dict(split).spec.model_dump(mode="json")
    except RunError as error:
        raise RunError(one_line(str(error), folder / "split.json")) from error
    return split


def read_part(file: Path, split: SplitFile, part: str, subsets: Sequence[Subset]) -> pd.DataFrame:
    """A predictions file whose products and classes are those of a part of the split.

    Args:
        file: the predictions file.
        split: split.json.
        part: of the split, or ALL_CLASSES for all of it.
        subsets: subsets that its products must be in.

    Raises:
        RunError: the file is damaged, or of other products or classes.
    """
    parts = list(split["classes"]) if part == ALL_CLASSES else [part]
    frame = read_predictions(file, [name for own in parts for name in split["classes"][own]])
    known = {product for own in parts for subset in subsets for product in split["ids"][own][subset]}
    if odd := sorted(set(frame["id"]) - known):
        raise RunError(one_line(f"product {odd[0]!r} is not in split.json; {AGAIN}", file))
    return frame


def _check_scores(folder: Path, run: Run, part: str, frame: pd.DataFrame) -> None:
    """Raise RunError where metrics.json does not match the predictions."""
    scores = run.scores(part) or {}
    file = folder / "predictions" / f"{part}.parquet"
    if scores.get("n") != len(frame):
        raise RunError(one_line(f"{len(frame)} products, metrics.json has {scores.get('n')}; {AGAIN}", file))
    if len(frame) and not math.isclose(scores["top1"] or 0, 100 * correct(frame).mean(), abs_tol=1e-6):
        raise RunError(one_line(f"its predictions do not match metrics.json; {AGAIN}", file))


def read_log(file: Path) -> list[dict[str, Any]]:
    """Rows of log.jsonl; a number that is not finite becomes None."""
    if not file.is_file():
        return []
    lines = [line for line in read_bytes(file).splitlines() if line.strip()]
    rows = [parse_json_as(line, LOG_ROW, file) for line in lines]
    return [{"stage": row["stage"], **_finite(dict(row))} for row in rows]


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    names = ("epoch", "train_loss", "val_loss", "val_top1", "learning_rate", "seconds", "pictures_per_second")
    numbers = {name: row.get(name) for name in names}
    return {name: n if n is not None and math.isfinite(n) else None for name, n in numbers.items()}


def check_same_catalog(runs: Sequence[Run]) -> None:
    """Raise RunError where runs are of several catalogs."""
    odd = [run.name for run in runs if run.split["catalog_sha256"] != runs[0].split["catalog_sha256"]]
    if odd:
        raise RunError(
            f"{', '.join(odd)}: of another catalog than {runs[0].name}; give runs of one catalog, or train them again "
            "with the same catalog.* settings"
        )


def check_same_split(runs: Sequence[Run]) -> None:
    """Raise RunError where runs of one catalog are of several splits."""
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.split["catalog_sha256"], run)
    for catalog, one in first.items():
        of_catalog = [run for run in runs if run.split["catalog_sha256"] == catalog]
        odd = [run.name for run in of_catalog if run.split["sha256"] != one.split["sha256"]]
        if odd:
            raise RunError(
                f"{', '.join(odd)}: of another split than {one.name}; compare runs of one split, or train again with "
                f"split.same_as={one.folder}"
            )


def check_same_test_products(runs: Sequence[Run]) -> None:
    """Raise RunError where runs of several catalogs have different test products."""
    if len({run.split["catalog_sha256"] for run in runs}) == 1:
        return
    one = min(runs, key=finished_at)
    wanted = _test_products(one)
    if odd := [run.name for run in runs if _test_products(run) != wanted]:
        raise RunError(
            f"{', '.join(odd)}: of another catalog than {one.name}, with other test products; compare runs with the "
            f"same ones, or train again with split.same_as={one.folder}"
        )


def _test_products(run: Run) -> set[str]:
    return {product for ids in run.split["ids"].values() for product in ids["test"]}


def finished_at(run: Run) -> datetime:
    """When a run finished; long ago where environment.json holds no time."""
    try:
        found = datetime.fromisoformat(run.environment["finished_at"])
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
