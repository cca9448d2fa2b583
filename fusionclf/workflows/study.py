"""`fusionclf study` and `fusionclf demo`: every variant on one split, then the report.

Each run is a process of its own, so that its memory and its failures are its own too.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

from fusionclf.catalog import generate_sample
from fusionclf.config import BaselineConfig, load_settings, read_settings
from fusionclf.console import Console
from fusionclf.errors import SettingsError, Stopped, Terminated, did_you_mean
from fusionclf.files import check_present, is_locked, locked_folder, locked_output, wait_until_free
from fusionclf.report import compare
from fusionclf.runfolder import is_finished
from fusionclf.workflows.settings import config_folder, find_config, read_divided


@dataclass(frozen=True)
class Entry:
    """One run of a study.

    Attributes:
        name: of the run folder.
        command: words after `fusionclf` (train or baseline, and the variant).
        config: settings file, or None for the defaults.
        overrides: key=value words.
    """

    name: str
    command: tuple[str, str]
    config: Path | None = None
    overrides: tuple[str, ...] = ()


STOPPED = (128 + signal.SIGINT, 128 + signal.SIGTERM)  # exit codes of a command that was asked to stop
STUDIES = "studies"  # folder, beside the settings files, of files that list runs
BASELINES = (
    Entry("majority", ("baseline", "majority")),
    Entry("nb-reference", ("baseline", "nb"), overrides=("protocol=reference",)),
    Entry("nb", ("baseline", "nb")),
    Entry("linear", ("baseline", "linear")),
)


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
    """Run all baselines and every settings file of a set, then compare what finished.

    Args:
        data: the catalog's folder.
        out: runs go to `out`/runs, the report to `out`/report; finished runs are kept.
        configs: `NAME` for the files *-NAME.yaml of configs/ (`cpu`), a folder of settings files (`./cpu`, where NAME
            is a set's), or a file that lists runs, such as `ablation` (configs/studies/ablation.yaml).
        seeds: how many seeds each trained variant is run with.
        overrides: catalog.* and split.* settings for every run.
        cpu: stay on the CPU.
        console: where progress goes.

    Returns:
        Exit code: 0 if all runs finished, 1 if some failed.

    Raises:
        CatalogError, SettingsError: the catalog or a settings file cannot be used; nothing has run then.
        RunError: another command writes to `out`, or `out` was removed.
        Stopped: a signal asked to stop.
    """
    console = console or Console()
    entries = [*BASELINES, *_entries(configs, seeds)]
    shared = load_settings(BaselineConfig, None, overrides, variant="study", data=str(data))
    with locked_folder(out):
        read_divided(data, shared.catalog, shared.split)  # a bad catalog shows now, not in every run
        failed = _run_all(entries, data, out, overrides, cpu, console)
        _report([entry.name for entry in entries], failed, out, console)
    return 1 if failed else 0


def _run_all(
    entries: list[Entry], data: Path, out: Path, overrides: tuple[str, ...], cpu: bool, console: Console
) -> list[str]:
    """Run those of a study that are not finished; the names of those that failed."""
    failed: list[str] = []
    for number, entry in enumerate(entries, start=1):
        folder, place = out / "runs" / entry.name, f"[{number}/{len(entries)}] {entry.name}"
        check_present(folder)
        if is_locked(
            folder
        ):  # a study that was killed leaves the run that it had started to finish by itself
            console.info(f"{place}: another command is writing to it; waiting until it ends")
            wait_until_free(folder)
        if is_finished(folder):
            console.info(f"{place}: finished already")
            continue
        console.info(place)
        if _run([*_command(entry, data, folder, cpu), *overrides]) != 0:
            failed.append(entry.name)
            console.warn(f"{entry.name} failed; going on with the next one")
    return failed


def _report(names: list[str], failed: list[str], out: Path, console: Console) -> None:
    """Compare the finished runs, and say which ones failed."""
    finished = [out / "runs" / name for name in names if is_finished(out / "runs" / name)]
    if finished:
        compare(finished, out / "report")
        console.info(f"wrote {out / 'report' / 'report.html'}, report.md and report.json")
        console.info(f"next: open it, or: fusionclf predict --run {finished[-1]} --input PRODUCTS")
    if failed:
        console.info(
            f"failed: {', '.join(failed)}; mend the cause, then give the same command again to run these alone"
        )


def _run(command: list[str]) -> int:
    """Run a command; when this process is asked to stop, pass that on and wait until the work is saved.

    Raises:
        Stopped: this process or the command was asked to stop.
    """
    # In a session of its own the child does not get the terminal's Ctrl-C a second time.
    child = subprocess.Popen(command, start_new_session=True)
    asked = 0
    try:
        code = child.wait()
    except KeyboardInterrupt as request:
        asked = signal.SIGTERM if isinstance(request, Terminated) else signal.SIGINT
        child.send_signal(asked)
        code = child.wait()
    if asked or code in STOPPED:
        number = asked or code - 128
        raise Stopped("stopped; all work so far is saved: give the same command again to go on", number)
    return code


def demo(out: Path, *, products: int = 500, seed: int = 0, console: Console | None = None) -> int:
    """Generate the sample catalog below `out` and run the study sized for it.

    Returns:
        Exit code of the study.
    """
    console = console or Console()
    catalog = out / "catalog"
    with locked_folder(out):
        with locked_output(catalog):
            if not catalog.is_dir():
                generate_sample(catalog, products=products, seed=seed)
                console.info(
                    f"wrote {catalog}: a generated catalog; its figures mean nothing outside of this demo"
                )
        code = study(catalog, out, configs="sample", cpu=True, console=console)
    console.info(f"next: open {out / 'report' / 'report.html'}, or: fusionclf data check YOUR_CATALOG")
    return code


def _entries(configs: str, seeds: int) -> list[Entry]:
    """The trained runs of a study: of a file that lists them, or one for each settings file of a folder or a set."""
    listing = _listing(configs)
    if listing is not None:
        runs = _listed(listing)
    else:
        folder = Path(configs)
        shipped = sorted(config_folder().glob(f"*-{escape(configs)}.yaml")) if folder.name == configs else []
        files = shipped or (sorted(folder.glob("*.yaml")) if os.path.isdir(folder) else [])
        cut = f"-{configs}" if shipped else ""
        runs = [Entry(f.stem.removesuffix(cut), ("train", _variant(f)), f) for f in files]
    if not runs:
        sets = {file.stem.rpartition("-")[2] for file in config_folder().glob("*-*.yaml")}
        sets |= {file.stem for file in (config_folder() / STUDIES).glob("*.yaml")}
        raise SettingsError(
            f"no settings files for --configs {configs!r}: give a folder or a file; {did_you_mean(configs, sets)}"
        )
    return [_seeded(run, seed) for run in runs for seed in range(seeds)]


def _seeded(run: Entry, seed: int) -> Entry:
    if seed == 0:
        return run
    return replace(run, name=f"{run.name}-seed{seed}", overrides=(*run.overrides, f"seed={seed}"))


def _listing(configs: str) -> Path | None:
    """A file that lists runs: by path, or by the name of one that comes with fusionclf (`ablation`)."""
    path, shipped = Path(configs), config_folder() / STUDIES / f"{configs}.yaml"
    if os.path.isfile(path):  # Path.is_file raises where the name is too long
        return path
    return shipped if path.name == configs and os.path.isfile(shipped) else None


def _listed(file: Path) -> list[Entry]:
    """The runs of a file: name → settings file (`config`) and what is set otherwise (`set`)."""
    runs = []
    for name, entry in read_settings(file).items():
        if not _is_entry(entry):
            raise SettingsError(
                f"{file}: {name}: give config and, if you like, set: {{config: …, set: [key=value]}}"
            )
        if not re.fullmatch(r"[\w][\w.-]*", name):
            raise SettingsError(f"{file}: {name!r} cannot name a folder; use letters, digits, '-' and '.'")
        config = find_config(entry["config"])
        assert config is not None
        runs.append(Entry(name, ("train", _variant(config)), config, tuple(entry.get("set") or ())))
    return runs


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not set(entry) <= {"config", "set"}:
        return False
    words = entry.get("set") or []
    return (
        isinstance(entry.get("config"), str)
        and isinstance(words, list)
        and all(isinstance(word, str) for word in words)
    )


def _variant(file: Path) -> str:
    """A settings file names its variant by the key `variant`, or by the first word of its own name."""
    variant = read_settings(file).get("variant", file.stem.partition("-")[0])
    if not isinstance(variant, str):
        raise SettingsError(f"{file}: variant={variant!r}: is text; give the name of a variant")
    return variant


def _command(entry: Entry, data: Path, folder: Path, cpu: bool) -> list[str]:
    words = [
        sys.executable,
        "-m",
        "fusionclf",
        *entry.command,
        "--data",
        str(data),
        "--out",
        str(folder),
        "--resume",
    ]
    if entry.config is not None:
        shipped = entry.config.parent == config_folder()
        words += ["--config", entry.config.stem if shipped else str(entry.config)]
    if cpu and entry.command[0] == "train":
        words.append("--cpu")
    return [*words, *entry.overrides]
