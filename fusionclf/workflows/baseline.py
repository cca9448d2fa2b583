"""`fusionclf baseline`: catalog → text model without torch → evaluation → run folder."""

import time
from pathlib import Path
from typing import Any

from baselines import find_baseline
from fusionclf.catalog.usable import UnusedRows
from fusionclf.config import Overrides
from fusionclf.console import Console
from fusionclf.errors import SettingsError
from fusionclf.evaluation import RunResult, save_run
from fusionclf.files import locked_folder
from fusionclf.metrics_schema import METRICS
from fusionclf.report.model_card import write_card
from fusionclf.runfolder import check_begun, environment, is_finished, open_run, read_json_as, sweep_run
from fusionclf.workflows.finished import check_finished
from fusionclf.workflows.settings import (
    ExistingRun,
    begin_run,
    load_run_settings,
    read_divided,
    with_location,
)


def run_baseline(
    name: str,
    data: Path,
    out: Path,
    *,
    config: Path | None = None,
    overrides: Overrides = (),
    existing: ExistingRun = ExistingRun(),  # noqa: B008  frozen
    console: Console | None = None,
) -> dict[str, Any]:
    """Fit a baseline on a catalog's train and validation rows and score it on its test rows.

    Args:
        name: a registered baseline.
        data: the catalog's folder, or its table.
        out: the run folder to make.
        config: settings file; None for the defaults.
        overrides: key.path=value texts, or nested settings.
        existing: what to do where `out` holds a run.
        console: where progress goes.

    Returns:
        metrics.json's content.

    Raises:
        CatalogError: the catalog cannot be read or divided.
        SettingsError: a setting is unknown or has a bad value, or the baseline cannot predict several labels.
        RunError: `out` holds a run or other files, another command writes to it, or it cannot be written.
    """
    console = console or Console()
    baseline = find_baseline(name)
    settings = load_run_settings(baseline.settings, name, data, config, overrides)
    if settings.catalog.label_list and not baseline.several_labels:
        raise SettingsError(
            f"catalog.label_list={settings.catalog.label_list!r}: baseline {name!r} predicts one label per product; "
            "use linear"
        )
    with locked_folder(out):
        if existing.resume and is_finished(out):
            check_finished(out, settings)
            sweep_run(out)
            console.info(f"{out}: finished already, nothing to do")
            return dict(read_json_as(out / "metrics.json", METRICS))
        started = time.perf_counter()
        catalog, split = read_divided(data, settings.catalog, settings.split, console=console)
        settings = with_location(settings, catalog)
        begin_run(open_run(out, overwrite=existing.overwrite, resume=existing.resume), settings, split)
        console.info(f"{name}: fit on train and validation titles")
        frames, statistics, held_out = baseline.run(settings, catalog, split, out, console)
        unused = statistics.get("unused_train_rows")
        if unused is not None and (found := UnusedRows.model_validate(unused)):
            console.warn(f"{name} cannot learn from every train row: {found}")
        check_begun(out)
        cost = environment(
            seconds=time.perf_counter() - started, hub_task="text-classification", **statistics
        )
        result = RunResult(name, settings, catalog, split, frames, cost, held_out)
        return save_run(out, result, write_card)
