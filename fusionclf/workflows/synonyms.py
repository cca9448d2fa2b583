"""`fusionclf classes synonyms`: names of classes → drafted synonyms → a file to review."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from fusionclf.catalog import Split, read_catalog
from fusionclf.catalog.drafting import (
    Endpoint,
    Synonym,
    SynonymDraft,
    TrainTitles,
    draft_synonyms,
    find_lexicon,
    suggest,
)
from fusionclf.config import RunConfig, build_settings
from fusionclf.console import Console
from fusionclf.errors import PredictionError, SettingsError
from fusionclf.evaluation import CategoryGraph
from fusionclf.files import locked_output, write_text
from fusionclf.models.added_classes import read_added
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.prediction.class_files import read_classes
from fusionclf.run_schema import read_config
from fusionclf.runfolder import check_is_run
from fusionclf.stacking.class_places import class_families
from fusionclf.stacking.drafted_synonyms import train_titles
from fusionclf.workflows.settings import announce_catalog, load_run_settings, read_divided


@dataclass(frozen=True, kw_only=True)
class ClassSource:
    """Where classes and train titles come from.

    Attributes:
        data: a catalog: its folder, or its table; None for none.
        run: a run folder, whose catalog is read; None for none.
        classes: a file of classes, instead of the catalog's; None for none.
        overrides: key.path=value texts of the catalog's columns and split.
    """

    data: Path | None = None
    run: Path | None = None
    classes: Path | None = None
    overrides: tuple[str, ...] = ()


def draft_file(
    source: ClassSource,
    out: Path,
    *,
    endpoint: Endpoint | None = None,
    overwrite: bool = False,
    console: Console | None = None,
) -> SynonymDraft:
    """Draft a file of synonyms for review.

    Args:
        source: classes and train titles.
        out: the file to write.
        endpoint: a language model to ask, too.
        overwrite: replace the file.
        console: where progress goes.

    Raises:
        SettingsError: `out` exists, or the language model gives no answer that can be used.
        CatalogError, RunError, PredictionError: the classes cannot be read.
    """
    console = console or Console()
    if out.is_dir() or (out.exists() and not overwrite):
        raise SettingsError(f"--out {out}: exists already; give another file, or --overwrite")
    if endpoint is not None:
        endpoint.check()
    families, trained = _read(source, console)
    suggested: Iterable[tuple[str, Synonym]] = ()
    if endpoint is not None:
        suggested = list(suggest(families, endpoint, console))
    draft = draft_synonyms(families, trained, find_lexicon(), suggested, with_terms=bool(trained.titles))
    with locked_output(out):
        write_text(out, draft.to_yaml())
    console.info(draft.summary)
    console.info(f"{out}: review and edit it, then train with model.synonyms={out}")
    return draft


def key_of(variable: str) -> str:
    """The key that an environment variable holds; "" where it is not set."""
    return os.environ.get(variable, "").strip()


def _read(source: ClassSource, console: Console) -> tuple[dict[str, str], TrainTitles]:
    """Class → its lowest category, and titles of train rows."""
    families: dict[str, str] = {}
    trained = TrainTitles()
    if source.data is None and source.run is None and source.classes is None:
        raise PredictionError(
            "missing --data, --run or --classes (give a catalog, a run, or a file of classes); "
            "see fusionclf classes synonyms --help"
        )
    if source.data is not None and source.run is not None:
        raise PredictionError("--data, --run: give only one; a run has its catalog in its settings")
    if source.run is not None:
        families, trained = _of_run(source.run, source.overrides, console)
    elif source.data is not None:
        settings = load_run_settings(RunConfig[FusionParams], "fusion", source.data, None, source.overrides)
        catalog, split = read_divided(source.data, settings.catalog, settings.split, console=console)
        names = split.class_names(None)
        graph = CategoryGraph.from_split(catalog, split)
        families = dict(zip(names, class_families(graph, names).tolist(), strict=True))
        trained = train_titles(catalog, split)
    if source.classes is not None:
        listed = read_classes(source.classes)
        for note in listed.notes():
            console.info(note)
        families = {each.name: each.place[-1] if each.place else each.name for each in listed.classes}
    return families, trained


def _of_run(run: Path, overrides: tuple[str, ...], console: Console) -> tuple[dict[str, str], TrainTitles]:
    """As `_read`, of the catalog and split of a run, and of the classes that were added to it."""
    check_is_run(run)
    if overrides:
        raise SettingsError(f"--run {run}: has its own settings; leave out {overrides[0]!r}")
    values = read_config(run)
    settings = build_settings(
        RunConfig[FusionParams], {key: values[key] for key in ("variant", "data", "catalog", "split")}
    )
    data, split = Path(settings.data), Split.load(run / "split.json")
    catalog = read_catalog(data, settings.catalog)
    announce_catalog(data, catalog, console)
    names = split.class_names(None)
    graph = CategoryGraph.from_split(catalog, split)
    families = dict(zip(names, class_families(graph, names).tolist(), strict=True))
    parts = sorted(file.stem for file in (run / "model").glob("*.safetensors") if file.stem != "added")
    for part in parts:
        for new in read_added(run / "model", part):
            families.setdefault(new.name, new.place[-1] if new.place else new.name)
    return families, train_titles(catalog, split)
