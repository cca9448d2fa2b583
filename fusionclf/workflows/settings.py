"""How a run begins: the divided catalog, and the first files of the run folder."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.catalog.earlier_splits import EarlierSplit
from fusionclf.catalog.splits import NO_CHOICE
from fusionclf.catalog.variants import find_leaks
from fusionclf.config import (
    BaselineConfig,
    CatalogConfig,
    Overrides,
    RunConfig,
    SplitConfig,
    described_values,
    dump_yaml,
    find_catalog_file,
    load_settings,
    override,
    read_settings,
)
from fusionclf.config.catalog_file import CatalogFile
from fusionclf.config.loading import merge
from fusionclf.console import SILENT, Console
from fusionclf.errors import CatalogError, RunError
from fusionclf.files import write_text
from fusionclf.run_schema import SPLIT_FILE, read_config
from fusionclf.runfolder import BEGUN, first_difference, holds

ANNOUNCED = "FUSIONCLF_ANNOUNCED"  # set for the runs of a study, which prints once what it read
REPLACE = "--overwrite, or another folder"  # what to do about a run that cannot be resumed

RunSettings = TypeVar("RunSettings", RunConfig[Any], BaselineConfig)


@dataclass(frozen=True)
class ExistingRun:
    """What to do where the run folder holds a run already; an error by default.

    Attributes:
        overwrite: replace it.
        resume: resume it; a finished run stays as it is.
    """

    overwrite: bool = False
    resume: bool = False


def read_divided(
    data: Path,
    columns: CatalogConfig,
    spec: SplitConfig,
    check: Callable[[Catalog], None] | None = None,
    further: Sequence[str] = (),
    console: Console = SILENT,
) -> tuple[Catalog, Split]:
    """A catalog and its split.

    Args:
        data: the catalog's folder, or its table.
        columns, spec: settings of reading and dividing.
        check: called with the catalog before a split that compares pictures reads them.
        further: columns to read that `columns` need not name, such as those of `model.auxiliary`.
        console: where it goes what the table was recognised as, and a warning if the split leaks variants of
            products.

    Raises:
        CatalogError: the catalog cannot be read or divided, or leaves nothing to learn.
    """
    if ANNOUNCED in os.environ:
        console = SILENT
    catalog = read_catalog(data, columns, split_columns=(*spec.columns_read, *further))
    announce_catalog(data, catalog, console)
    if check is not None and {"picture", "near_picture"}.intersection(spec.group_by):
        check(catalog)
    split = make_split(catalog, spec)
    if split.note:
        console.info(split.note)
    if not split.has_choice(catalog):
        raise CatalogError(f"{data}: {NO_CHOICE}")
    if (leaks := find_leaks(catalog, split)).matters:
        console.warn(str(leaks))
    read = (*columns.text, *columns.attributes, *spec.group_columns, *further)
    return catalog, replace(split, columns_sha256=catalog.column_hashes(read))


def load_run_settings(
    schema: type[RunSettings], name: str, data: Path, config: Path | None, overrides: Overrides
) -> RunSettings:
    """The settings of a run: defaults, then catalog.yaml beside the data, the settings file, and the overrides.

    Args:
        schema: of the variant or baseline.
        name: of the variant or baseline.
        data: the catalog's folder, or its table.
        config: settings file; None for none.
        overrides: key.path=value texts, or nested settings.

    Raises:
        SettingsError: a setting is unknown or has a bad value.
    """
    given = read_settings_file(config)
    values = merge(underlying_values(data, given, overrides), given)
    return load_settings(schema, None, overrides, values, variant=name, data=str(data))


def read_settings_file(file: Path | None) -> dict[str, Any]:
    """The content of a settings file; that of a run with `split.same_as` names the run itself, whose split it is.

    So it can be used again when the earlier run is gone.
    """
    values = read_settings(file) if file else {}
    split = values.get("split")
    if file and isinstance(split, dict) and split.get("same_as") and (file.parent / SPLIT_FILE).is_file():
        return {**values, "split": {**split, "same_as": str(file.parent)}}
    return values


def underlying_values(data: Path, given: Mapping[str, Any], overrides: Overrides) -> dict[str, Any]:
    """What lies below settings that are given: catalog.yaml, and over its split that of `split.same_as`.

    Args:
        data: the catalog's folder, or its table.
        given: the content of a settings file.
        overrides: key.path=value texts, or nested settings.

    Raises:
        SettingsError: catalog.yaml has a fault, a text is malformed, or there is no such run.
        RunError: the run's split.json is damaged.
    """
    values = described_values(data, given, overrides)
    split = override(CatalogFile, merge(values, given), overrides).get("split")
    same_as = split.get("same_as") if isinstance(split, Mapping) else None
    if not isinstance(same_as, str):
        return values
    earlier = EarlierSplit.load(same_as).split.spec.model_dump(mode="json", exclude={"same_as"})
    return merge(values, {"split": earlier})


def announce_catalog(data: Path, catalog: Catalog, console: Console) -> None:
    """Print what a catalog's table was recognised as, and which catalog.yaml was read."""
    if (file := find_catalog_file(data)) is not None:
        console.info(f"catalog: {file} read")
    console.info(f"catalog: {catalog.read_report.recognised}")


def with_location(settings: RunSettings, catalog: Catalog) -> RunSettings:
    """The settings with the folder and the table that were read, whichever of them `--data` named."""
    columns = settings.catalog.model_copy(update={"file": catalog.columns.file})
    return settings.model_copy(update={"data": str(catalog.root), "catalog": columns})


def begun_pictures(folder: Path) -> dict[str, Any] | None:
    """`pictures` in the config.yaml of a run that was begun; None where there is none.

    Raises:
        RunError: the file is damaged.
    """
    found = read_config(folder).get("pictures") if holds(folder / BEGUN) else None
    return found if isinstance(found, dict) else None


def begin_run(folder: Path, settings: BaseModel, split: Split) -> None:
    """Write config.yaml and split.json; a folder that is resumed must hold the same settings, catalog and split."""
    if holds(folder / BEGUN):
        check_settings(folder, settings.model_dump(mode="json"))
    if holds(folder / SPLIT_FILE):
        check_catalog(folder, split)
    write_text(folder / BEGUN, dump_yaml(settings))
    split.save(folder / SPLIT_FILE)


def check_settings(folder: Path, settings: Mapping[str, Any], remedy: str = REPLACE) -> None:
    """Refuse settings other than those that a run was begun with.

    Raises:
        RunError: one differs, or config.yaml is damaged.
    """
    # The same split may be named by another run that keeps it; `check_catalog` shows whether it is the same.
    before, now = (_without_same_as(each) for each in (read_config(folder), settings))
    places = before["data"], now["data"]
    if all(map(os.path.isdir, places)) and os.path.samefile(*places):
        before["data"] = now["data"]  # one folder by two names, such as a relative path and a link
    if differing := first_difference(before, now):
        raise RunError(f"{folder}: begun with other settings ({differing}); use the same ones, {remedy}")


def check_catalog(folder: Path, split: Split, remedy: str = REPLACE) -> None:
    """Refuse another catalog or split than a run was begun with.

    Raises:
        RunError: products, their cells or their subsets differ, or split.json is damaged.
    """
    begun = Split.load(folder / SPLIT_FILE)
    columns = begun.columns_sha256.keys() & split.columns_sha256.keys()
    same_cells = all(begun.columns_sha256[name] == split.columns_sha256[name] for name in columns)
    if not same_cells or (begun.catalog_sha256, begun.sha256) != (split.catalog_sha256, split.sha256):
        raise RunError(
            f"{folder}: begun with other products, labels or texts, or another split (the catalog has changed); use "
            f"{remedy}"
        )


def _without_same_as(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {**settings, "split": {**settings["split"], "same_as": None}}
