"""The runs of a study: from a set of settings files, a folder of them, or a file that lists runs."""

import os
import re
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import Any

from fusionclf.config.loading import read_settings
from fusionclf.config.shipped import config_folder, find_config
from fusionclf.errors import SettingsError, did_you_mean

STUDIES = "studies"  # folder, beside the settings files, of files that list runs


@dataclass(frozen=True)
class StudyRun:
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


REFERENCE = StudyRun("nb-reference", ("baseline", "nb"), overrides=("protocol=reference",))
BASELINES = (
    StudyRun("majority", ("baseline", "majority")),
    REFERENCE,
    StudyRun("nb", ("baseline", "nb")),
    StudyRun("linear", ("baseline", "linear")),
)


def trained_runs(configs: str, seeds: int) -> list[StudyRun]:
    """The trained runs of a study.

    Args:
        configs: `NAME` for the files *-NAME.yaml of configs/ (`cpu`), a folder of settings files (`./cpu` where a set
            has the same name), or a file that lists runs, such as `ablation` (configs/studies/ablation.yaml).
        seeds: number of seeds for each run.

    Raises:
        SettingsError: there are no such files, or one cannot be used.
    """
    listing = _find_listing(configs)
    runs = _read_listing(listing) if listing is not None else _run_per_file(configs)
    if not runs:
        sets = {file.stem.rpartition("-")[2] for file in config_folder().glob("*-*.yaml")}
        sets |= {file.stem for file in (config_folder() / STUDIES).glob("*.yaml")}
        raise SettingsError(
            f"no settings files for --configs {configs!r}: give a folder or a file; {did_you_mean(configs, sets)}"
        )
    return [_with_seed(run, seed) for run in runs for seed in range(seeds)]


def _run_per_file(configs: str) -> list[StudyRun]:
    """One run for each settings file of a shipped set or a folder."""
    folder = Path(configs)
    shipped = sorted(config_folder().glob(f"*-{escape(configs)}.yaml")) if folder.name == configs else []
    files = shipped or (sorted(folder.glob("*.yaml")) if os.path.isdir(folder) else [])
    suffix = f"-{configs}" if shipped else ""
    return [StudyRun(file.stem.removesuffix(suffix), ("train", _variant(file)), file) for file in files]


def _with_seed(run: StudyRun, seed: int) -> StudyRun:
    if seed == 0:
        return run
    return replace(run, name=f"{run.name}-seed{seed}", overrides=(*run.overrides, f"seed={seed}"))


def _find_listing(configs: str) -> Path | None:
    """A file that lists runs: by path, or by the name of one that comes with fusionclf (`ablation`)."""
    path, shipped = Path(configs), config_folder() / STUDIES / f"{configs}.yaml"
    if os.path.isfile(path):  # Path.is_file raises where the name is too long
        return path
    return shipped if path.name == configs and os.path.isfile(shipped) else None


def _read_listing(file: Path) -> list[StudyRun]:
    """The runs of a file: name → settings file (`config`) and overrides (`set`)."""
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
        runs.append(StudyRun(name, ("train", _variant(config)), config, tuple(entry.get("set") or ())))
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
    """The variant of a settings file: its key `variant`, or the first word of its name."""
    variant = read_settings(file).get("variant", file.stem.partition("-")[0])
    if not isinstance(variant, str):
        raise SettingsError(f"{file}: variant={variant!r}: is text; give the name of a variant")
    return variant
