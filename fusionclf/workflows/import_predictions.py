"""`fusionclf import`: another program's predictions of a catalog's test products → an ordinary run folder."""

import hashlib
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from baselines import baseline_names
from fusionclf.catalog.counted_examples import EXAMPLES
from fusionclf.config import BaselineConfig, ImportConfig, ImportedFile
from fusionclf.console import Console
from fusionclf.errors import SettingsError, quoted
from fusionclf.evaluation import RunResult, save_run
from fusionclf.evaluation.given_predictions import GivenPredictions, read_given
from fusionclf.evaluation.imported import Others, import_given
from fusionclf.files import locked_folder
from fusionclf.report.model_card import write_card
from fusionclf.run_schema import ALL_CLASSES
from fusionclf.runfolder import environment, open_run
from fusionclf.workflows.settings import begin_run, load_run_settings, read_divided, with_location

NAME = r"\w[\w. +-]{0,99}"
ID, LABELS = "id", ("label", "prediction")
VARIANTS = Path(__file__).parents[1] / "models" / "variants"  # importing them would import torch


@dataclass(frozen=True)
class ImportRequest:
    """What to import.

    Attributes:
        file: CSV, Parquet or JSON lines.
        name: what the report calls the model.
        data: the catalog's folder, or its table.
        out: the run folder to make.
        others: what to do with products that are no test products.
        config: settings file; None for the defaults.
        overrides: key.path=value texts.
    """

    file: Path
    name: str
    data: Path
    out: Path
    others: Others = "refuse"
    config: Path | None = None
    overrides: tuple[str, ...] = ()


def import_predictions(
    request: ImportRequest, *, overwrite: bool = False, console: Console | None = None
) -> dict[str, Any]:
    """Write another program's predictions as a run, which `compare` and `label-issues` read as any other.

    Args:
        request: what to import.
        overwrite: replace the run that the folder holds.
        console: where progress goes.

    Returns:
        metrics.json's content.

    Raises:
        PredictionError: the predictions do not fit the catalog's test products and classes.
        CatalogError: the catalog or the file cannot be read.
        SettingsError: the name cannot be used, or a setting is wrong.
        RunError: `out` holds a run or other files, or it cannot be written.
    """
    console = console or Console()
    _check_name(request.name)
    settings = load_run_settings(
        BaselineConfig, request.name, request.data, request.config, request.overrides
    )
    if settings.catalog.label_list:
        raise SettingsError(
            f"catalog.label_list={settings.catalog.label_list!r}: import reads one label per product; leave it out"
        )
    with locked_folder(request.out):
        started = time.perf_counter()
        catalog, split = read_divided(request.data, settings.catalog, settings.split, console=console)
        names = (catalog.columns.id, ID), (*LABELS, catalog.columns.label)
        given = read_given(request.file, *names, split.class_names(None))
        console.info(_described(given))
        if given.unread:
            shown = ", ".join(quoted(name) for name in given.unread[:EXAMPLES])
            more = ", …" if len(given.unread) > EXAMPLES else ""
            console.warn(
                f"{len(given.unread)} columns are not read, because they are not classes: {shown}{more}"
            )
        found = import_given(given, catalog, split, request.others)
        if found.ignored:
            console.warn(f"{found.ignored:,} products are not test products and are left out")
        source = ImportedFile(
            file=request.file.name, sha256=hashlib.sha256(request.file.read_bytes()).hexdigest(), kind=given.kind,
            rows=len(given), others=request.others,
        )  # fmt: skip
        whole = ImportConfig(**dict(with_location(settings, catalog)), imported=source)
        begin_run(open_run(request.out, overwrite=overwrite), whole, split)
        held_out = {} if found.held_out is None else {ALL_CLASSES: found.held_out}
        cost = environment(seconds=time.perf_counter() - started, hub_task=None, **_unknown_cost())
        result = RunResult(request.name, whole, catalog, split, {ALL_CLASSES: found.test}, cost, held_out)
        return save_run(request.out, result, write_card)


def _check_name(name: str) -> None:
    taken = [*baseline_names(), *(file.stem for file in VARIANTS.glob("[a-z]*.py"))]
    if name in taken:
        raise SettingsError(
            f"--name {name!r}: fusionclf has a model of that name; give another, such as my-{name}"
        )
    if not re.fullmatch(NAME, name):
        raise SettingsError(
            f"--name {quoted(name)}: give letters, digits and . + - _ or blanks, at most 100, such as autogluon"
        )


def _described(given: GivenPredictions) -> str:
    kinds = {
        "labels": "labels without probabilities: there will be no calibration figures",
        "best": f"probabilities of the {given.labels.shape[-1]} most likely classes; other classes count as 0",
        "all": f"probabilities of {len(given.labels)} classes",
    }
    return f"{given.path}: {len(given):,} products, {kinds[given.kind]}"


def _unknown_cost() -> dict[str, Any]:
    unknown = ("train_seconds", "predict_seconds", "products_per_second", "pictures_per_second", "parameters")
    return {"device": "unknown"} | dict.fromkeys(unknown)
