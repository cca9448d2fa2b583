"""Settings files and synonyms that come with the package."""

import os
from pathlib import Path

from fusionclf.errors import SettingsError, did_you_mean


def config_folder() -> Path:
    """The folder of the settings files that come with fusionclf."""
    package = Path(__file__).parents[1]
    inside = package / "configs"
    return (
        inside if inside.is_dir() else package.parent / "configs"
    )  # in a checkout they are beside the package


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


def shipped_synonyms() -> dict[str, Path]:
    """Name → file, of the synonyms that come with fusionclf."""
    return {file.stem: file for file in sorted((config_folder() / "synonyms").glob("*.yaml"))}


def find_synonyms(name: str) -> Path:
    """A file of synonyms by path, or by the name of one that comes with fusionclf (`fashion`)."""
    shipped = shipped_synonyms()
    if os.path.isfile(name):  # Path.is_file raises where the name is too long
        return Path(name)
    if name in shipped:
        return shipped[name]
    raise SettingsError(
        f"model.synonyms: no file {name!r}: give a path or a name; "
        f"{did_you_mean(name, [*shipped, 'auto', 'drafted'])}"
    )
