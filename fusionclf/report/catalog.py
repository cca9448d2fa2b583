"""The catalog of the runs: found by its path, compared by its hash, and checked."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fusionclf.catalog import Catalog, Split, check_catalog, read_catalog
from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.config import CatalogConfig, build_settings
from fusionclf.errors import CatalogError, RunError, SettingsError
from fusionclf.report.collect import Run

SHOWN_IDS = 20  # ids of a finding


def find_catalog(runs: Sequence[Run], data: Path | None = None) -> tuple[Catalog | None, str]:
    """The catalog of the runs, or None and the reason.

    Args:
        runs: of one catalog.
        data: its folder; default: the folder in the runs' settings.

    Raises:
        RunError, CatalogError: `data` is given, and is not a catalog or another one.
    """
    folders = [data] if data else list(dict.fromkeys(Path(str(run.config.get("data"))) for run in runs))
    there = [folder for folder in folders if os.path.isdir(folder)]  # False for an invalid name, too
    if data is None and not there:
        return None, f"The catalog ({folders[0].name}) was not found where the runs read it"
    folder = there[0] if there else folders[0]
    try:
        section = runs[0].config.get("catalog")
        columns = build_settings(CatalogConfig, section if isinstance(section, dict) else {}, "catalog.")
        catalog = read_catalog(folder, columns)
    except (CatalogError, SettingsError, OSError) as error:
        if data:
            raise
        return None, f"The catalog ({folder.name}) cannot be read ({type(error).__name__})"
    if catalog.sha256 != runs[0].split["catalog_sha256"]:
        if data:
            raise RunError(
                f"{data}: is another catalog than {runs[0].name}'s (its hash differs); give that one"
            )
        return None, f"The catalog ({folder.name}) has changed since the runs"
    return catalog, ""


def catalog_facts(catalog: Catalog, run: Run) -> dict[str, Any]:
    """What a check of the catalog finds without decoding pictures.

    Returns:
        findings: (what, {n, ids, cut}) pairs, ids cut to the first SHOWN_IDS; and the percentage of titles that a
        random 80/20 split would have on both sides.
    """
    found = check_catalog(catalog, _split(run), decode=False)
    findings = [
        ("unquoted commas in the title, repaired", _named(found.repaired)),
        *((f"dropped: {reason}", _named(ids)) for reason, ids in found.dropped.items()),
        ("classes of which every row was dropped", _named(found.lost_classes)),
        ("line break in a cell", _named(found.multiline)),
        ("no year", _named(found.without_year)),
        ("year that is no number", _named(found.bad_years)),
        ("no title", _named(found.without_title)),
        *(
            (f"words for a missing value in {name}, read as empty", _examples(cells))
            for name, cells in found.missing_words.items()
        ),
        *((f"spelled differently in {name}", _named(groups)) for name, groups in found.spellings.items()),
        ("cells with the text NA, kept as a value", _counted(found.na_texts)),
        ("empty cells", _counted(found.empty_cells)),
        ("classes of one product", _named(found.single_product_classes)),
        ("classes under several category paths", _named(found.classes_with_several_paths)),
        ("categories with several parents", _named(found.categories_with_several_parents)),
        ("titles with more than one label", {"n": found.titles_with_several_labels, "ids": [], "cut": False}),
        *(
            (f"classes of {part.part} without a training row", _named(list(part.without_train)))
            for part in found.parts
        ),
    ]
    return {
        "findings": [list(finding) for finding in findings],
        "random_split_titles_in_train": found.random_split_titles_in_train,
    }


def _split(run: Run) -> Split | CatalogError:
    try:
        return Split.from_dict(run.split)
    except RunError as error:
        return CatalogError(str(error))


def _named(names: Sequence[str]) -> dict[str, Any]:
    return {"n": len(names), "ids": list(names[:SHOWN_IDS]), "cut": len(names) > SHOWN_IDS}


def _examples(cells: CountedExamples) -> dict[str, Any]:
    return {"n": cells.count, "ids": cells.examples, "cut": cells.count > len(cells.examples)}


def _counted(cells: Mapping[str, int]) -> dict[str, Any]:
    return {"n": sum(cells.values()), "ids": [f"{name} {n:,}" for name, n in cells.items()], "cut": False}
