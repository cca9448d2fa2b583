"""`fusionclf data check`: what a check of a catalog found, as tables or as JSON."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from pathlib import Path

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.catalog import Catalog, CatalogCheck, Split, check_catalog, make_split, read_catalog
from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.picture_cells import MOST_PICTURES
from fusionclf.catalog.picture_checks import LOOKS, PictureFacts
from fusionclf.catalog.records import NoRowsError
from fusionclf.config import (
    CatalogConfig,
    PictureSettings,
    Section,
    SplitConfig,
    build_settings,
    override,
    read_settings,
)
from fusionclf.config.loading import merge
from fusionclf.config.shipped import find_config
from fusionclf.console import Console, json_text, printable
from fusionclf.errors import CatalogError
from fusionclf.files import write_text
from fusionclf.workflows.settings import announce_catalog, read_settings_file, underlying_values

ENCODER = "offline"  # of the settings that come with the package
SHOWN = 5  # ids that a line names


class CheckConfig(Section):
    """What a check depends on."""

    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()
    pictures: PictureSettings = PictureSettings()


def data_check(
    folder: Path,
    config: str | None,
    overrides: tuple[str, ...],
    as_json: bool,
    console: Console,
    page: Path | None = None,
) -> bool:
    """Check a catalog and print what was found; whether it is usable.

    Args:
        folder: the catalog's folder, or its table.
        config: settings file of which catalog, split and pictures are taken.
        overrides: key.path=value texts.
        as_json: print JSON in place of tables.
        console: where progress goes.
        page: HTML file for examples of pictures that are blank, dark, blurred or of an odd size; None: none.
    """
    settings = check_settings(folder, config, overrides)
    catalog, split = _read(folder, settings)
    announce_catalog(folder, catalog, console)
    if isinstance(split, Split) and split.note:
        console.info(split.note)
    with console.bar("decode pictures", len(catalog.picture_owners)) as step:
        found = check_catalog(
            catalog, split, unreadable=settings.pictures.unreadable, encoder=_encoder(config), progress=step
        )
    if as_json:
        print(json_text(found.to_dict()))
    else:
        render_check(found, RichConsole(highlight=False))
    if page is not None:
        _write_page(page, catalog, found, console)
    return found.usable


def _write_page(page: Path, catalog: Catalog, found: CatalogCheck, console: Console) -> None:
    from fusionclf.report.picture_page import picture_page  # jinja2 takes time

    if found.pictures is None:
        console.warn(f"{page}: not written, since the catalog has no pictures; set catalog.picture")
        return
    write_text(page, picture_page(catalog, found.pictures))
    console.info(f"wrote {page}; next: open it")


def check_settings(data: Path, config: str | None, overrides: tuple[str, ...]) -> CheckConfig:
    """The settings of catalog, split and pictures; arguments as of `data_check`."""
    read = read_settings_file(find_config(config))
    given = {key: value for key, value in read.items() if key in CheckConfig.model_fields}
    values = merge(underlying_values(data, given, overrides), given)
    return build_settings(CheckConfig, override(CheckConfig, values, overrides))


def _encoder(config: str | None) -> str:
    """The sentence encoder that a settings file names; the English one that fusion reads by where it names none."""
    file = find_config(config)
    model = (read_settings(file) if file else {}).get("model")
    text = model.get("text") if isinstance(model, dict) else None
    return str(text.get("model", ENCODER)) if isinstance(text, dict) else ENCODER


def render_check(found: CatalogCheck, out: RichConsole) -> None:
    """Print what a check found as tables, and a verdict."""
    out.print(_facts("Catalog", _catalog_rows(found)))
    if found.pictures is not None:
        out.print()
        out.print(_facts("Pictures", _picture_rows(found.pictures)))
    if found.parts:
        out.print()
        out.print(_parts(found))
        out.print(
            "unseen: test rows of classes without train rows; ceiling: what is left, for a closed-set model"
        )
        out.print()
        out.print(_facts("Classes", _absent_rows(found)))
    out.print()
    if found.variants is not None and found.variants.matters:
        out.print(f"[yellow]warning[/]: {escape(printable(str(found.variants)))}", soft_wrap=True)
    if found.unknown_language:
        out.print(f"[yellow]warning[/]: {escape(printable(found.unknown_language))}", soft_wrap=True)
    for problem in found.problems:
        out.print(f"[red]problem[/]: {escape(printable(problem))}", soft_wrap=True)
    out.print("usable" if found.usable else "not usable as it is")


def _read(folder: Path, settings: CheckConfig) -> tuple[Catalog, Split | CatalogError]:
    """A catalog, even an empty one, and its split or why there is none."""
    spec = settings.split
    try:
        catalog = read_catalog(folder, settings.catalog, split_columns=spec.columns_read)
    except NoRowsError as error:
        return error.catalog, error
    try:
        return catalog, make_split(catalog, spec)
    except CatalogError as error:
        return catalog, error


def _ids(ids: Collection[str]) -> str:
    shown = ", ".join(printable(text) for text in islice(ids, SHOWN))
    return f"{len(ids):,}" + (f" ({shown}{', …' if len(ids) > SHOWN else ''})" if ids else "")


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{printable(name)} {n:,}" for name, n in counts.items()) or "none"


def _catalog_rows(found: CatalogCheck) -> list[tuple[str, str]]:
    rows = [("rows read", f"{found.rows_read:,}"), ("repaired (unquoted commas)", _ids(found.repaired))]
    rows += [("with a line break in a cell", _ids(found.multiline))] if found.multiline else []
    rows += [(f"dropped: {reason}", _ids(ids)) for reason, ids in found.dropped.items()]
    missing = found.read_as_missing_by_pandas
    return [
        *rows,
        ("products", f"{found.products:,}"),
        ("distinct values", _counts(found.levels)),
        *_slip_rows(found),
        ("classes of one product", _ids(found.single_product_classes)),
        ("classes that lost all their rows", _ids(found.lost_classes)),
        ("without a year", _ids(found.without_year)),
        ("years that are no number", _ids(found.bad_years)),
        ("without a title", _ids(found.without_title)),
        ("cells with the text NA (kept)", _counts(found.na_texts)),
        ("empty categories and metadata", _counts(found.empty_cells)),
        *([("read as missing by pandas (both)", _counts(missing))] if missing else []),
        *[(f"language of {name}", printable(str(own))) for name, own in found.languages.items()],
        ("titles that name their class", f"{found.titles_naming_the_label:.1f} %"),
        ("titles with several classes", f"{found.titles_with_several_labels:,}"),
        ("classes under several paths", _ids(found.classes_with_several_paths)),
        ("categories under several parents", _ids(found.categories_with_several_parents)),
        ("test titles that train has too", _leaked_titles(found)),
        ("test variants of train products", f"{found.variants.rows:,}" if found.variants else "no split"),
        ("the same in a random 80/20 split", f"{found.random_split_titles_in_train:.1f} %"),
    ]


def _slip_rows(found: CatalogCheck) -> list[tuple[str, str]]:
    """What may be a slip in the cells, each with its examples; a row only where there is something."""
    rows = [
        (f"words for a missing value in {name}", _noted(cells)) for name, cells in found.missing_words.items()
    ]
    rows += [
        (f"spelled differently in {name}", f"{_ids(groups)}; catalog.join_spellings=true joins them")
        for name, groups in found.spellings.items()
    ]
    rows += [(f"joined spellings in {name}", f"{count:,} rows") for name, count in found.joined.items()]
    if found.labels_with_path:
        remedy = "catalog.label_separator reads them as paths"
        rows.append(("classes that hold a path", f"{_ids(found.labels_with_path)}; {remedy}"))
    if found.named_by_path:
        why = "their own names occur below several paths"
        rows.append(("classes named by their path", f"{_ids(found.named_by_path)}; {why}"))
    if found.several_label_paths.count:
        cells = _noted(found.several_label_paths)
        rows.append(("labels with several paths", f"{cells}; the first counts"))
    if found.labels_a_product:
        sizes = {f"{n} label{'s' if n > 1 else ''}:": count for n, count in found.labels_a_product.items()}
        rows.append(("products with", _counts(sizes)))
    if found.odd_label_lists.count:
        cells = _noted(found.odd_label_lists)
        rows.append(("cells with an empty or repeated label", f"{cells}; each label counts once"))
    if found.corrected_paths.count:
        rows.append(("pictures found by a corrected path", _noted(found.corrected_paths)))
    if found.missing_pictures.count:
        missing = found.missing_pictures
        rows.append(("products without a picture", printable(f"{missing.count:,}: {missing}")))
    if found.missing_further.count:
        further = found.missing_further
        rows.append(("missing further pictures", printable(f"{further.count:,}: {further}")))
    if found.cut_pictures.count:
        name = f"products with more than {MOST_PICTURES} pictures"
        rows.append((name, f"{_noted(found.cut_pictures)}; the first {MOST_PICTURES} are read"))
    return rows


def _noted(cells: CountedExamples) -> str:
    more = ", …" if cells.count > len(cells.examples) else ""
    return f"{cells.count:,} ({printable(', '.join(cells.examples))}{more})"


def _leaked_titles(found: CatalogCheck) -> str:
    if found.test_titles_in_train is None:
        return "no split"
    share = 100 * found.test_titles_in_train / max(sum(part.test for part in found.parts), 1)
    return f"{found.test_titles_in_train:,} ({share:.1f} %)"


def _picture_rows(facts: PictureFacts) -> list[tuple[str, str]]:
    unreadable = [f"{name}: {reason}" for name, reason in facts.unreadable.items()]
    conflicting = [" = ".join(ids) for ids in facts.conflicting_groups]
    return [
        ("decoded", f"{facts.decoded:,}"),
        *([("products with several", f"{facts.several:,}")] if facts.several else []),
        ("missing (kept)", _ids(facts.missing)),
        ("unreadable", _ids(unreadable)),
        ("grayscale", _ids(facts.grayscale)),
        ("turned by their EXIF orientation", _ids(facts.turned)),
        *([(f"not {facts.usual_size} pixels", _ids(facts.odd_sizes))] if facts.usual_size else []),
        ("pixel for pixel like another", f"{facts.identical:,} in {facts.identical_groups:,} groups"),
        ("such groups with several classes", _ids(conflicting)),
        ("test pictures that train has too", f"{facts.test_pictures_in_train:,}"),
        *((kind, f"{_ids(names)}; {LOOKS[kind]}") for kind, names in facts.looks.items()),
    ]


def _absent_rows(found: CatalogCheck) -> list[tuple[str, str]]:
    """Which classes lack rows; for those without train rows, how many test rows they have."""
    rows = []
    for part in found.parts:
        unseen = [f"{name} {n:,}" for name, n in part.without_train.items()]
        rows += [(f"{part.part}: without train rows (test rows)", _ids(unseen))]
        rows += [(f"{part.part}: without validation rows", _ids(part.without_validation))]
        rows += [(f"{part.part}: without test rows", _ids(part.without_test))]
    rows += [(f"unused by {kind}", printable(str(unused))) for kind, unused in found.unused.items()]
    return rows


def _facts(title: str, rows: Sequence[tuple[str, str]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=False, box=None, pad_edge=False)
    table.add_column(min_width=max(len(name) for name, _ in rows))
    for name, value in rows:
        table.add_row(escape(printable(name)), escape(printable(value)))
    return table


def _parts(found: CatalogCheck) -> Table:
    table = Table(title="Split", title_justify="left", box=None, pad_edge=False)
    for name in ("part", "classes", "train", "validation", "test", "unseen", "ceiling %"):
        table.add_column(name, justify="left" if name == "part" else "right")
    for part in found.parts:
        numbers = (part.classes, part.train, part.validation, part.test, part.unseen_rows)
        table.add_row(part.part, *(f"{n:,}" for n in numbers), f"{part.ceiling:.2f}")
    return table
