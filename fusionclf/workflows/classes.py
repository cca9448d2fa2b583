"""`fusionclf classes`: the classes of a trained run, and new ones without training it again."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.console import Console, printable
from fusionclf.errors import PredictionError, RunError, did_you_mean, near_path, quoted
from fusionclf.files import locked_folder
from fusionclf.models import StackedClassifier
from fusionclf.models.added_classes import AddedClass, read_added, read_class_ids, write_added
from fusionclf.models.open_vocabulary.prototypes import mean_direction
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.prediction import Predictor, Products, RunModel, load
from fusionclf.prediction.answers import PATH_SEPARATOR
from fusionclf.prediction.class_files import read_classes
from fusionclf.prediction.class_names import find_added, parse_class
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.job import column_settings
from fusionclf.runfolder import sweep_run

CHUNK = 512  # examples that are read together


def add_class(
    model: RunModel,
    name: str,
    *,
    examples: Path | None = None,
    pictures: Path | None = None,
    overrides: tuple[str, ...] = (),
    console: Console | None = None,
) -> AddedClass:
    """Add a class to a trained open-vocabulary run, by its name and by examples where there are any.

    Args:
        model: which of a run's models.
        name: "Name" or "Category > Name", with "| other name" for each synonym.
        examples: a file of products of the class, or a folder of their pictures.
        pictures: folder below which a file's pictures are; default: the file's own.
        overrides: catalog.* settings for the examples, laid over the run's own.
        console: where progress goes.

    Raises:
        PredictionError: the name is none or known already, or no example can be used.
        RunError: the run cannot name new classes, or another command writes to it.
    """
    run, console = model.run, console or Console()
    parse_class(name)  # no class name shows before the model is loaded
    with _changing(run):
        predictor = model.load()
        network = predictor.open_network()
        new = parse_class(name, known=predictor.classes)
        if new.name in predictor.classes:
            raise PredictionError(
                f"{run}: has a class {new.name!r} already; give another name (fusionclf classes list --run {run})"
            )
        if examples is not None:
            table = _example_table(run, examples, pictures, overrides)
            new = _with_examples(predictor, new, _products(predictor, table, console))
        network.add([new])  # what cannot be taken in is not kept
        folder = run / "model"
        write_added(folder, predictor.part, [*read_added(folder, predictor.part), new], predictor.ids)
    source = f"{new.count} examples" if new.count else "its name alone"
    source += f" (synonyms: {len(new.synonyms)})" if new.synonyms else ""
    console.info(f"{run}: added {new.name!r}, scored by {source}; {len(network.classes)} classes")
    console.info(f"next: fusionclf predict --run {run} --title TITLE")
    return new


def add_listed(model: RunModel, file: Path, *, console: Console | None = None) -> list[AddedClass]:
    """Add the classes of a file to a trained open-vocabulary run, by their names; those that it has stay as they are.

    Args:
        model: which of a run's models.
        file: one class a line, or a published taxonomy, as of `read_classes`.
        console: where progress goes.

    Returns:
        The classes that were added.

    Raises:
        PredictionError: the file cannot be used.
        RunError: the run cannot name new classes, or another command writes to it.
    """
    run, console = model.run, console or Console()
    read_classes(file)  # a faulty file shows before the model is loaded
    with _changing(run):
        predictor = model.load()
        network = predictor.open_network()
        listed = read_classes(file, network.every, predictor.paths)
        for note in listed.notes():
            console.info(note)
        predictor.extend_classes(listed.classes)
        had, folder = set(network.every) - set(network.added), run / "model"
        before = read_added(folder, predictor.part)
        kept = had | {new.name for new in before}
        new = [each for each in listed.classes if each.name not in kept]
        with_ids = [replace(each, id=predictor.ids.get(each.name, "")) for each in (*before, *new)]
        write_added(
            folder,
            predictor.part,
            with_ids,
            {name: own for name, own in predictor.ids.items() if name in had},
        )
    console.info(
        f"{run}: added {len(new):,} classes, scored by their names; {len(network.classes):,} classes"
    )
    console.info(f"next: fusionclf predict --run {run} --title TITLE")
    return new


@contextmanager
def _changing(run: Path) -> Iterator[None]:
    """Keep other commands from changing a run, and remove what killed ones left half-written."""
    if not run.is_dir():
        raise RunError(f"{run}: no such run folder{near_path(run)}; give one by --run")
    with locked_folder(run):
        sweep_run(run)
        yield


def _example_table(
    run: Path, examples: Path, pictures: Path | None, overrides: tuple[str, ...]
) -> ProductTable:
    table = ProductTable(examples, column_settings(run, overrides), pictures=pictures)
    table.check()
    return table


def remove_class(run: Path, name: str, *, part: str | None = None, console: Console | None = None) -> None:
    """Forget a class that was added.

    Args:
        run: the run folder.
        name: its name, or all that it was added by: "Category > Name | other name".
        part: which of the run's models.
        console: where messages go.

    Raises:
        PredictionError: no such class was added.
        RunError: another command writes to the run.
    """
    with _changing(run):
        folder, part = run / "model", load(run, part=part, device="cpu").part
        added = read_added(folder, part)
        found = find_added(added, name)
        if found is None:
            near = did_you_mean(name, [new.name for new in added] or ["none"])
            raise PredictionError(f"{run}: no class {quoted(name)} was added; {near}")
        ids = read_class_ids(folder, part)
        ids.pop(found.name, None)
        write_added(folder, part, [new for new in added if new is not found], ids)
    (console or Console()).info(f"{run}: removed {found.name!r}")


def list_classes(run: Path, *, part: str | None = None) -> None:
    """Print the classes of a run, and how it knows each."""
    predictor = load(run, part=part, device="cpu")
    added = {new.name: new for new in read_added(run / "model", predictor.part)}
    known = _known_by(predictor)
    table = Table(box=None, pad_edge=False)
    for column in ("class", *(["id"] if predictor.ids else []), "path", "known by"):
        table.add_column(column)
    for name in predictor.classes:
        place = PATH_SEPARATOR.join(predictor.paths.get(name, ()))
        source = known[name]
        if name in added:
            source = f"{added[name].count} examples" if added[name].count else f"{source} (added)"
        own = [escape(printable(predictor.ids.get(name, "")))] if predictor.ids else []
        table.add_row(escape(printable(name)), *own, escape(printable(place)), source)
    RichConsole(highlight=False).print(table)


def _known_by(predictor: Predictor) -> dict[str, str]:
    """Source of each class: training rows (for all classes, if the head is not stacked) or its name."""
    model = getattr(predictor.model, "model", None)
    if not isinstance(model, StackedClassifier) or not isinstance(model.head, StackedHead):
        return dict.fromkeys(predictor.classes, "training rows")
    assert model.class_names is not None
    seen, synonyms = model.head.facts.seen.tolist(), model.class_names.synonyms
    by_name = [f"its name, {len(others)} more" if others else "its name" for others in synonyms]
    return {
        name: "training rows" if known else called
        for name, known, called in zip(predictor.classes, seen, by_name, strict=True)
    }


def _products(predictor: Predictor, table: ProductTable, console: Console) -> Iterator[Products]:
    for note in table.notes:
        console.warn(note)
    for chunk in table.chunks(min(CHUNK, predictor.chunk_size)):
        for fault in chunk.faults:
            console.warn(f"{table.source} {fault.place}: {fault.reason}; left out")
        products = predictor.read(chunk.pictures, chunk.fields)
        for place, reason in zip(chunk.places, products.reasons, strict=True):
            if reason:
                console.warn(f"{table.source} {place}: {reason}; left out")
        if chunk.missing.count:
            console.warn(f"{table.source}: {chunk.missing.count:,} without a picture: {chunk.missing}")
        yield products
    if table.folder is not None and (note := table.folder.note()):
        console.warn(note)


def _with_examples(predictor: Predictor, new: AddedClass, chunks: Iterator[Products]) -> AddedClass:
    """The class with the means of its example products.

    Raises:
        PredictionError: no example can be used.
    """
    titles, features, count = [], [], 0
    for products in chunks:
        count += int(products.answerable.sum())
        if len(products.fields):
            seen = predictor.open_network().vectors(products.pictures, products.fields)
            features.append(seen.features[seen.has_picture])
            titles.append(seen.embeddings[seen.has_title])
    if not count:
        raise PredictionError(f"{new.name!r}: no example has a picture or a title that can be read")
    return replace(new, title_prototype=_mean(titles), feature_prototype=_mean(features), count=count)


def _mean(parts: Sequence[torch.Tensor]) -> torch.Tensor | None:
    vectors = torch.cat(list(parts))
    return mean_direction(vectors) if len(vectors) else None
