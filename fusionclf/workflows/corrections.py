"""`fusionclf data apply`: what people answered → a corrected table."""

from dataclasses import dataclass
from pathlib import Path

from fusionclf.catalog.corrections import Applied, ApplyRequest, apply_corrections, read_corrections
from fusionclf.console import Console
from fusionclf.errors import SettingsError
from fusionclf.workflows.data import check_settings

SHOWN = 5


@dataclass(frozen=True)
class CorrectionOptions:
    """How corrections are applied.

    Attributes:
        out: the table to write; None for a new name beside the old one.
        new_classes: accept labels that no product has yet.
        ignore_unknown: leave out corrections of products that the table lacks.
    """

    out: Path | None = None
    new_classes: bool = False
    ignore_unknown: bool = False


def data_apply(
    corrections: Path,
    data: Path,
    overrides: tuple[str, ...] = (),
    options: CorrectionOptions = CorrectionOptions(),
    console: Console | None = None,
) -> Applied:
    """Write a copy of a catalog's table with corrected labels, and a log of the changes.

    Args:
        corrections: corrections.csv with answers, or an export of Label Studio.
        data: the catalog's folder, or its table.
        overrides: catalog.* settings.
        options: how they are applied.
        console: where the summary goes.

    Raises:
        CatalogError: as of `apply_corrections`.
        SettingsError: a product can have several labels.
    """
    console = console or Console()
    columns = check_settings(data, None, overrides).catalog
    if columns.label_list:
        raise SettingsError(
            f"catalog.label_list={columns.label_list!r}: data apply reads one label per product; correct such cells "
            "in the table itself"
        )
    answers = read_corrections(corrections)
    request = ApplyRequest(data, columns, options.out, options.new_classes, options.ignore_unknown)
    found = apply_corrections(answers, request)
    console.info(
        f"{corrections}: {found.changed:,} labels changed, {found.confirmed:,} confirmed, {answers.open:,} without an "
        "answer"
    )
    if found.unknown:
        console.warn(
            f"{len(found.unknown):,} products are not in the table and are left out: {_some(found.unknown)}"
        )
    if found.new_classes:
        named = tuple(f"{name} ({count:,})" for name, count in found.new_classes.items())
        console.info(f"new classes: {_some(named)}; the category columns of their products are not changed")
    console.info(f"wrote {found.out}, and what changed to {found.log}")
    console.info(
        f"next: fusionclf train or baseline with --data {found.out} split.same_as=RUN (RUN: the earlier run), then "
        "fusionclf compare RUN NEW_RUN"
    )
    return found


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
