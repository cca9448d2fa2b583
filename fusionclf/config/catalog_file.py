"""catalog.yaml, which lies beside a catalog's table and says what its columns are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fusionclf.config.data_sections import CatalogConfig, Section, SplitConfig
from fusionclf.config.loading import Overrides, build_settings, override, read_settings
from fusionclf.errors import SettingsError

CATALOG_FILE = "catalog.yaml"
# Settings that mean nothing without another one: where that one is set anew, they count no more.
BELONGING = {
    "label": ("label_separator", "label_level", "label_list"),
    "picture": ("picture_separator",),
}


class CatalogFile(Section):
    """What the file may hold."""

    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()


def find_catalog_file(data: Path) -> Path | None:
    """The catalog.yaml of a catalog; None where there is none.

    Args:
        data: the catalog's folder, or its table.
    """
    file = (data if data.is_dir() else data.parent) / CATALOG_FILE
    return file if file.is_file() else None


def read_catalog_file(data: Path) -> dict[str, Any]:
    """The sections of a catalog's catalog.yaml, as read; none where there is no such file.

    Args:
        data: the catalog's folder, or its table.

    Raises:
        SettingsError: the file cannot be read, or holds an unknown setting or a bad value.
    """
    file = find_catalog_file(data)
    if file is None:
        return {}
    values = read_settings(file)
    try:
        build_settings(CatalogFile, values)
    except SettingsError as error:
        raise SettingsError(
            f"{file}: {error}; fix it, or write it again: fusionclf data describe {data} --overwrite"
        ) from error
    return {name: section for name, section in values.items() if section}


def described_values(data: Path, given: Mapping[str, Any], overrides: Overrides = ()) -> dict[str, Any]:
    """What catalog.yaml adds to settings that are given otherwise, without what these make meaningless.

    Args:
        data: the catalog's folder, or its table.
        given: the content of a settings file.
        overrides: key.path=value texts, or nested settings.

    Raises:
        SettingsError: as of `read_catalog_file`, or a text is malformed.
    """
    values = read_catalog_file(data)
    columns = override(CatalogFile, given, overrides).get("catalog")
    if not values.get("catalog") or not isinstance(columns, Mapping):
        return values
    gone = [name for main, others in BELONGING.items() if main in columns for name in others]
    kept = {name: value for name, value in values["catalog"].items() if name not in gone}
    return {**values, "catalog": kept}
