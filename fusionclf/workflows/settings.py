"""What runs begin with: settings files by name, the divided catalog, and the first files of a run folder."""

import os
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

import fusionclf
from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.catalog.splits import NO_CHOICE
from fusionclf.config import CatalogConfig, SplitConfig, dump_yaml
from fusionclf.errors import CatalogError, RunError, SettingsError, did_you_mean
from fusionclf.files import write_text
from fusionclf.run_schema import SPLIT, read_config
from fusionclf.runfolder import BEGUN, first_difference, holds, read_json_as


def config_folder() -> Path:
    """The folder of the settings files that come with fusionclf."""
    inside = Path(fusionclf.__file__).parent / "configs"
    return inside if inside.is_dir() else Path(fusionclf.__file__).parents[1] / "configs"


def find_config(name: str | None) -> Path | None:
    """A settings file by path, or by the name of one that comes with fusionclf (`image-cpu`)."""
    if name is None:
        return None
    path = Path(name)
    if os.path.isfile(name):
        return path
    if os.path.isdir(name):
        raise SettingsError(f"--config {name}: is a folder; give a settings file or a name")
    shipped = {file.stem: file for file in sorted(config_folder().glob("*.yaml"))}
    if path.name == name and path.name.removesuffix(".yaml") in shipped:
        return shipped[path.name.removesuffix(".yaml")]
    raise SettingsError(f"no settings file {name!r}: give a path or a name; {did_you_mean(name, shipped)}")


def find_synonyms(name: str) -> Path:
    """A file of synonyms by path, or by the name of one that comes with fusionclf (`fashion`)."""
    shipped = {file.stem: file for file in sorted((config_folder() / "synonyms").glob("*.yaml"))}
    if os.path.isfile(name):  # Path.is_file raises where the name is too long
        return Path(name)
    if name in shipped:
        return shipped[name]
    raise SettingsError(
        f"model.synonyms: no file {name!r}: give a path or a name; {did_you_mean(name, shipped)}"
    )


def read_divided(
    data: Path, columns: CatalogConfig, spec: SplitConfig, check: Callable[[Catalog], None] | None = None
) -> tuple[Catalog, Split]:
    """A catalog and its split.

    Args:
        data: the catalog's folder.
        columns, spec: how it is read and divided.
        check: called before pictures are read, where the split reads them.

    Raises:
        CatalogError: it cannot be read or divided, or leaves nothing to learn.
    """
    catalog = read_catalog(data, columns, split_column=spec.column_read)
    if check is not None and {"picture", "near_picture"}.intersection(spec.group_by):
        check(catalog)
    split = make_split(catalog, spec)
    if not split.has_choice(catalog):
        raise CatalogError(f"{data}: {NO_CHOICE}")
    return catalog, split


def begin_run(folder: Path, settings: BaseModel, split: Split) -> None:
    """Write config.yaml and split.json; a folder that is gone on with must hold the same settings."""
    file = folder / BEGUN
    if holds(file):
        differing = first_difference(read_config(folder), settings.model_dump(mode="json"))
        if differing:
            raise RunError(
                f"{folder}: begun with other settings ({differing}); use the same ones, or --overwrite"
            )
    begun = read_json_as(folder / "split.json", SPLIT) if holds(folder / "split.json") else None
    if begun is not None and begun["sha256"] != split.sha256:
        raise RunError(
            f"{folder}: begun with other products or another split (the catalog has changed); use --overwrite, or "
            "another folder"
        )
    write_text(file, dump_yaml(settings))
    split.save(folder / "split.json")
