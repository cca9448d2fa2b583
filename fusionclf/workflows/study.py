"""`fusionclf study`: every variant on one split, then the report.

Each run is its own process, so that memory and failures of one run do not affect the next.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

from baselines.naive_bayes import has_reference_layout
from fusionclf.catalog import Catalog
from fusionclf.config import BaselineConfig
from fusionclf.config.shipped import config_folder
from fusionclf.config.studies import BASELINES, REFERENCE, StudyRun, trained_runs
from fusionclf.console import Console
from fusionclf.errors import Stopped, Terminated
from fusionclf.files import check_present, is_locked, locked_folder, wait_until_free
from fusionclf.report import compare
from fusionclf.runfolder import is_finished
from fusionclf.workflows.finished import check_study_run
from fusionclf.workflows.score_table import print_scores
from fusionclf.workflows.settings import ANNOUNCED, load_run_settings, read_divided

STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a command that a signal stopped


def study(
    data: Path,
    out: Path,
    *,
    configs: str = "cpu",
    seeds: int = 1,
    overrides: tuple[str, ...] = (),
    cpu: bool = False,
    console: Console | None = None,
) -> int:
    """Run all baselines and every settings file of a set, then compare the finished runs.

    Args:
        data: the catalog's folder, or its table.
        out: runs go to `out`/runs, the report to `out`/report; finished runs are kept.
        configs: as in `trained_runs`.
        seeds: number of seeds for each trained variant.
        overrides: catalog.* and split.* settings for every run.
        cpu: stay on the CPU.
        console: where progress goes.

    Returns:
        Exit code: 0 if all runs finished, 1 if some failed.

    Raises:
        CatalogError, SettingsError: the catalog or a settings file cannot be used; nothing has run then.
        RunError: a finished run has other settings or another catalog, another command writes to `out`, or `out` was
            removed.
        Stopped: a signal stopped the study.
    """
    console = console or Console()
    trained = trained_runs(configs, seeds)
    shared = load_run_settings(BaselineConfig, "study", data, None, overrides)
    with locked_folder(out):
        # A bad catalog shows now, not in every run.
        catalog, split = read_divided(data, shared.catalog, shared.split, console=console)
        runs = [*_baselines(catalog, console), *trained]
        for run in runs:
            check_study_run(run, out / "runs" / run.name, overrides, shared, split)
        failed: list[str] = []
        for number, run in enumerate(runs, start=1):
            folder = out / "runs" / run.name
            command = [*_command(run, data, folder, cpu), *overrides]
            if not _run_unless_finished(folder, command, f"[{number}/{len(runs)}] {run.name}", console):
                failed.append(run.name)
                console.warn(f"{run.name} failed; continuing with the next run")
        _write_report([run.name for run in runs], failed, out, console)
    return 1 if failed else 0


def _baselines(catalog: Catalog, console: Console) -> list[StudyRun]:
    """The baselines; that of the reference only for a table in the reference's layout."""
    if has_reference_layout(catalog):
        return list(BASELINES)
    console.info(
        f"{REFERENCE.name} left out: {catalog.columns.file} is not in the reference's layout, which is "
        "comma-separated UTF-8 with the Kaggle columns alone"
    )
    return [run for run in BASELINES if run is not REFERENCE]


def _run_unless_finished(folder: Path, command: list[str], title: str, console: Console) -> bool:
    """Run a command unless its run is finished; whether it succeeded."""
    check_present(folder)
    if is_locked(folder):  # a killed study does not stop the run that it had started
        console.info(f"{title}: another command is writing to it; waiting until it ends")
        wait_until_free(folder)
    if is_finished(folder):
        console.info(f"{title}: finished already")
        return True
    console.info(title)
    return _run(command) == 0


def _write_report(names: list[str], failed: list[str], out: Path, console: Console) -> None:
    """Compare the finished runs, and list the failed ones."""
    finished = [out / "runs" / name for name in names if is_finished(out / "runs" / name)]
    if finished:
        report = compare(finished, out / "report")
        print_scores(report)
        console.info(f"wrote {out / 'report' / 'report.html'}, report.md and report.json")
        console.info(f"next: open it, or: fusionclf predict --run {finished[-1]} --input PRODUCTS")
    if failed:
        console.info(
            f"failed: {', '.join(failed)}; fix the cause, then run the same command again: it runs only these"
        )


def _run(command: list[str]) -> int:
    """Run a command and return its exit code; a signal that stops this process is passed on to the command.

    Raises:
        Stopped: a signal stopped this process or the command. The command has saved its work.
    """
    # In a session of its own the child does not get the terminal's Ctrl-C a second time.
    child = subprocess.Popen(command, start_new_session=True, env={**os.environ, ANNOUNCED: "1"})
    stopped_by = 0
    try:
        code = child.wait()
    except KeyboardInterrupt as request:
        stopped_by = signal.SIGTERM if isinstance(request, Terminated) else signal.SIGINT
        child.send_signal(stopped_by)
        code = child.wait()
    if stopped_by or code in STOPPED:
        number = stopped_by or code - 128
        raise Stopped("stopped; all work so far is saved: run the same command again to resume", number)
    return code


def _command(run: StudyRun, data: Path, folder: Path, cpu: bool) -> list[str]:
    words = [sys.executable, "-m", "fusionclf", *run.command]
    words += ["--data", str(data), "--out", str(folder), "--resume"]
    if run.config is not None:
        shipped = run.config.parent == config_folder()
        words += ["--config", run.config.stem if shipped else str(run.config)]
    if cpu and run.command[0] == "train":
        words.append("--cpu")
    return [*words, *run.overrides]
