"""A finished run that is resumed: it stays as it is, so its settings must be the ones that are given."""

from pathlib import Path
from typing import Any

from baselines import find_baseline
from fusionclf.catalog import Split
from fusionclf.catalog.location import locate_catalog
from fusionclf.config import CHOSEN, BaselineConfig, Overrides, RunConfig
from fusionclf.config.studies import StudyRun
from fusionclf.console import SILENT
from fusionclf.run_schema import read_config
from fusionclf.runfolder import is_finished
from fusionclf.workflows.settings import REPLACE, check_catalog, check_settings, load_run_settings

Settings = RunConfig[Any] | BaselineConfig
AUTO = {"model": ("vocabulary",), "pictures": CHOSEN}  # what a run chooses where it is null or auto
IN_A_STUDY = "another --out, or remove this run"


def check_finished(folder: Path, settings: Settings, remedy: str = REPLACE) -> None:
    """Refuse settings other than those of a finished run; the catalog's table is not read.

    Args:
        folder: of the run.
        settings: as given; what the run chose itself may be null or auto.
        remedy: the end of an error message.

    Raises:
        CatalogError: there is no such catalog.
        RunError: a setting differs, or config.yaml is damaged.
    """
    root, columns = locate_catalog(Path(settings.data), settings.catalog)
    values = settings.model_dump(mode="json")
    values |= {"data": str(root), "catalog": columns.model_dump(mode="json")}
    check_settings(folder, _with_choices(values, read_config(folder)), remedy)


def _with_choices(values: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Settings with what a run chose, and with its `keep_checkpoints`, which changes no result."""
    changed = dict(values)
    for section, given in values.items():
        found = made.get(section)
        if isinstance(given, dict) and isinstance(found, dict):
            chosen = [name for name in AUTO.get(section, ()) if given.get(name) in (None, "auto")]
            kept = [*chosen, *(["keep_checkpoints"] if section == "train" else [])]
            changed[section] = given | {name: found.get(name) for name in kept}
    return changed


def check_study_run(
    run: StudyRun, folder: Path, overrides: Overrides, shared: BaselineConfig, split: Split
) -> None:
    """Refuse to keep a finished run of a study whose settings or catalog have changed since.

    Args:
        run, folder: the run, which need not be finished.
        overrides: settings for every run.
        shared: the settings with which the study read the catalog.
        split: of that catalog.

    Raises:
        RunError: settings or catalog differ.
    """
    if not is_finished(folder):
        return
    settings = _settings_of(run, Path(shared.data), (*run.overrides, *overrides))
    check_finished(folder, settings, IN_A_STUDY)
    if (settings.catalog, settings.split) == (shared.catalog, shared.split):
        check_catalog(folder, split, IN_A_STUDY)


def _settings_of(run: StudyRun, data: Path, overrides: Overrides) -> Settings:
    """The settings of a run of a study, as `train` or `baseline` reads them."""
    command, name = run.command
    if command == "baseline":
        return load_run_settings(find_baseline(name).settings, name, data, run.config, overrides)
    from fusionclf.models import find_variant  # imports torch
    from fusionclf.stacking.checks import for_several_labels

    schema = RunConfig[find_variant(name).params]
    return for_several_labels(load_run_settings(schema, name, data, run.config, overrides), SILENT)
