"""The catalog that the runs were made on: found again, checked by its hash, audited, and shown in thumbnails."""

import base64
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from fusionclf.catalog import Catalog, Split, check_catalog, decoded_picture, read_catalog
from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.config import CatalogConfig, build_settings
from fusionclf.errors import CatalogError, PictureError, RunError, SettingsError
from fusionclf.report.collect import Run

THUMBNAIL = (96, 128)  # pixels, at most; the page shows them at two thirds, for dense screens
QUALITY = 80
SHOWN_IDS = 20  # ids that a finding names


def find_catalog(runs: Sequence[Run], data: Path | None = None) -> tuple[Catalog | None, str]:
    """The catalog of the runs, or why it is not at hand.

    Args:
        runs: of one catalog.
        data: its folder; default: where the runs' settings say it was.

    Raises:
        RunError, CatalogError: `data` is given, and is no catalog or another one.
    """
    folders = [data] if data else list(dict.fromkeys(Path(str(run.config.get("data"))) for run in runs))
    there = [folder for folder in folders if os.path.isdir(folder)]  # False for any odd name, too
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
    """What an audit finds without decoding pictures.

    Returns:
        findings: (what, {n, ids, cut}) pairs, ids cut to the first SHOWN_IDS; and the percentage of titles that a
        random 80/20 split would have on both sides.
    """
    audit = check_catalog(catalog, _split(run), decode=False)
    findings = [
        ("unquoted commas in the title, repaired", _named(audit.repaired)),
        *((f"dropped: {reason}", _named(ids)) for reason, ids in audit.dropped.items()),
        ("classes of which every row was dropped", _named(audit.lost_classes)),
        ("line break in a cell", _named(audit.multiline)),
        ("no year", _named(audit.without_year)),
        ("year that is no number", _named(audit.bad_years)),
        ("no title", _named(audit.without_title)),
        *(
            (f"words for a missing value in {name}, read as empty", _noted(cells))
            for name, cells in audit.missing_words.items()
        ),
        *((f"spelled differently in {name}", _named(groups)) for name, groups in audit.spellings.items()),
        ("cells with the text NA, kept as a value", _counted(audit.na_texts)),
        ("empty cells", _counted(audit.empty_cells)),
        ("classes of one product", _named(audit.single_product_classes)),
        ("classes under several category paths", _named(audit.classes_with_several_paths)),
        ("categories with several parents", _named(audit.categories_with_several_parents)),
        ("titles with more than one label", {"n": audit.titles_with_several_labels, "ids": [], "cut": False}),
        *(
            (f"classes of {part.part} without a training row", _named(list(part.without_train)))
            for part in audit.parts
        ),
    ]
    return {
        "findings": [list(finding) for finding in findings],
        "random_split_titles_in_train": audit.random_split_titles_in_train,
    }


def _split(run: Run) -> Split | CatalogError:
    try:
        return Split.from_dict(run.split)
    except RunError as error:
        return CatalogError(str(error))


def _named(names: Sequence[str]) -> dict[str, Any]:
    return {"n": len(names), "ids": list(names[:SHOWN_IDS]), "cut": len(names) > SHOWN_IDS}


def _noted(cells: CountedExamples) -> dict[str, Any]:
    return {"n": cells.count, "ids": cells.examples, "cut": cells.count > len(cells.examples)}


def _counted(cells: Mapping[str, int]) -> dict[str, Any]:
    return {"n": sum(cells.values()), "ids": [f"{name} {n:,}" for name, n in cells.items()], "cut": False}


def thumbnail(path: Path | None) -> str | None:
    """A small picture as a data: URI, encoded anew from its pixels; None where there is none to be read."""
    if path is None:
        return None
    stream = io.BytesIO()
    try:
        with decoded_picture(path) as decoded:
            decoded.picture.thumbnail(THUMBNAIL, Image.Resampling.LANCZOS)
            decoded.picture.save(stream, "JPEG", quality=QUALITY, optimize=True)
    except PictureError:
        return None
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
