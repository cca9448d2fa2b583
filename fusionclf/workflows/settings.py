"""How a run begins: the divided catalog, and the first files of the run folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from fusionclf.catalog import Catalog, Split, make_split, read_catalog
from fusionclf.catalog.splits import NO_CHOICE
from fusionclf.catalog.variants import find_leaks
from fusionclf.config import CatalogConfig, SplitConfig, dump_yaml
from fusionclf.console import SILENT, Console
from fusionclf.errors import CatalogError, RunError
from fusionclf.files import write_text
from fusionclf.run_schema import SPLIT, read_config
from fusionclf.runfolder import BEGUN, first_difference, holds, read_json_as


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
        data: the catalog's folder.
        columns, spec: settings of reading and dividing.
        check: called with the catalog before a split that compares pictures reads them.
        further: columns to read that `columns` need not name, such as those of `model.auxiliary`.
        console: where a warning goes if the split leaks variants of products.

    Raises:
        CatalogError: the catalog cannot be read or divided, or leaves nothing to learn.
    """
    catalog = read_catalog(data, columns, split_columns=(*spec.columns_read, *further))
    if check is not None and {"picture", "near_picture"}.intersection(spec.group_by):
        check(catalog)
    split = make_split(catalog, spec)
    if not split.has_choice(catalog):
        raise CatalogError(f"{data}: {NO_CHOICE}")
    if (leaks := find_leaks(catalog, split)).matters:
        console.warn(str(leaks))
    return catalog, split


def begin_run(folder: Path, settings: BaseModel, split: Split) -> None:
    """Write config.yaml and split.json; a folder that is resumed must hold the same settings."""
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
