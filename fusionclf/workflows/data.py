"""`fusionclf data check`: a catalog's audit as tables or as JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.catalog import Audit, audit_catalog, make_split, read_catalog
from fusionclf.catalog.audit import printable
from fusionclf.config import (
    CatalogConfig,
    PicturesConfig,
    Section,
    SplitConfig,
    build_settings,
    merge,
    parse_override,
    read_yaml,
)
from fusionclf.console import Console
from fusionclf.workflows.settings import find_config

SHOWN = 5  # ids that a line names


class CheckConfig(Section):
    """What a check depends on."""

    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()
    pictures: PicturesConfig = PicturesConfig()


def check_catalog(
    folder: Path, config: str | None, overrides: tuple[str, ...], as_json: bool, console: Console
) -> bool:
    """Audit a catalog and print what was found; whether it is usable.

    Args:
        folder: the catalog.
        config: settings file of which catalog, split and pictures are taken.
        overrides: key.path=value texts.
        as_json: print JSON in place of tables.
        console: where progress goes.
    """
    file = find_config(config)
    values = {k: v for k, v in (read_yaml(file) if file else {}).items() if k in CheckConfig.model_fields}
    for text in overrides:
        values = merge(values, parse_override(text))
    settings = build_settings(CheckConfig, values)
    catalog = read_catalog(folder, settings.catalog)
    split = make_split(catalog, settings.split)
    with console.bar("decode pictures", len(catalog)) as step:
        audit = audit_catalog(catalog, split, unreadable=settings.pictures.unreadable, progress=step)
    if as_json:
        print(json.dumps(audit.to_dict(), indent=2, ensure_ascii=False))
    else:
        render_audit(audit, RichConsole(highlight=False))
    return audit.usable


def render_audit(audit: Audit, out: RichConsole) -> None:
    """Print an audit as three tables and a verdict."""
    out.print(_facts("Catalog", _catalog_rows(audit)))
    if audit.pictures is not None:
        out.print(_facts("Pictures", _picture_rows(audit)))
    out.print(_parts(audit))
    for problem in audit.problems:
        out.print(f"[red]problem[/]: {escape(problem)}")
    out.print("usable" if audit.usable else "not usable as it is")


def _ids(ids: Sequence[str]) -> str:
    shown = ", ".join(printable(text) for text in ids[:SHOWN])
    return f"{len(ids):,}" + (f" ({shown}{', …' if len(ids) > SHOWN else ''})" if ids else "")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{printable(name)} {n:,}" for name, n in counts.items()) or "none"


def _catalog_rows(audit: Audit) -> list[tuple[str, str]]:
    rows = [("rows read", f"{audit.rows_read:,}"), ("repaired (unquoted commas)", _ids(audit.repaired))]
    rows += [(f"dropped: {reason}", _ids(ids)) for reason, ids in audit.dropped.items()]
    share = 100 * audit.test_titles_in_train / max(sum(part.test for part in audit.parts), 1)
    return [
        *rows,
        ("products", f"{audit.products:,}"),
        ("distinct values", _counts(audit.levels)),
        ("classes of one product", _ids(audit.single_product_classes)),
        ("without a year", _ids(audit.without_year)),
        ("years that are no number", _ids(audit.bad_years)),
        ("without a title", f"{audit.without_title:,}"),
        ("cells with the text NA (kept)", _counts(audit.na_texts)),
        ("empty cells", _counts(audit.empty_cells)),
        ("read as missing by pandas (both)", _counts(audit.read_as_missing_by_pandas)),
        ("titles that name their class", f"{audit.titles_naming_the_label:.1f} %"),
        ("titles with several classes", f"{audit.titles_with_several_labels:,}"),
        ("classes under several paths", _ids(audit.classes_with_several_paths)),
        ("categories under several parents", _ids(audit.categories_with_several_parents)),
        ("test titles that train has too", f"{audit.test_titles_in_train:,} ({share:.1f} %)"),
        ("the same in a random 80/20 split", f"{audit.random_split_titles_in_train:.1f} %"),
    ]


def _picture_rows(audit: Audit) -> list[tuple[str, str]]:
    facts = audit.pictures
    assert facts is not None
    unreadable = [f"{name}: {reason}" for name, reason in facts.unreadable.items()]
    return [
        ("decoded", f"{facts.decoded:,}"),
        ("unreadable", _ids(unreadable)),
        ("grayscale", _ids(facts.grayscale)),
        (f"not {facts.usual_size} pixels", _ids(facts.odd_sizes)),
        ("pixel for pixel like another", f"{facts.identical:,} in {facts.identical_groups:,} groups"),
        ("such groups with several classes", f"{facts.conflicting_groups:,}"),
        ("test pictures that train has too", f"{facts.test_pictures_in_train:,}"),
    ]


def _facts(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in rows:
        table.add_row(escape(name), escape(value))
    return table


def _parts(audit: Audit) -> Table:
    table = Table(title="Split", title_justify="left", box=None, pad_edge=False)
    names = ("part", "classes", "train", "validation", "test", "unseen test rows", "ceiling %", "classes without train")
    for number, name in enumerate(names):
        table.add_column(name, justify="left" if number in (0, 7) else "right")
    for part in audit.parts:
        figures = (part.classes, part.train, part.validation, part.test, part.unseen_rows)
        table.add_row(
            part.part, *(f"{n:,}" for n in figures), f"{part.ceiling:.2f}", escape(_ids(part.without_train))
        )
    return table
