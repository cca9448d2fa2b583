"""`fusionclf suggest`: a finished run and a file of products → which of them to label next."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fusionclf.catalog.missing import is_missing
from fusionclf.catalog.tables import open_table
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.errors import PredictionError
from fusionclf.evaluation import CategoryGraph
from fusionclf.evaluation.suggestions import choose_varied, most_uncertain, uncertainty
from fusionclf.prediction import RunModel
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.job import column_settings
from fusionclf.prediction.model import check_one_label
from fusionclf.prediction.predictor import Predictor
from fusionclf.prediction.review import Suggested, shown_products, write_review

UNCERTAIN, NO_TRAINING_ROWS = "uncertain", "class without training rows"


@dataclass(frozen=True)
class SuggestRequest:
    """What to look through.

    Attributes:
        model: the run.
        source: CSV, Parquet or JSON lines, or a folder of pictures; products that have a label are skipped.
        out: the folder to write to.
        count: products to suggest.
        pictures: folder below which the pictures are; None for that of `source`.
        overrides: catalog.* settings laid over the run's own.
    """

    model: RunModel
    source: Path
    out: Path
    count: int = 100
    pictures: Path | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """Products that may be suggested.

    Attributes:
        ids, labels: n texts: of the product, and its most likely class.
        probabilities: (n,) of that class.
        uncertain: (n,) from 0 to 1.
        vectors: (n, D) joint embeddings, which show how alike they are.
    """

    ids: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    uncertain: np.ndarray
    vectors: np.ndarray

    def at(self, rows: np.ndarray) -> "Candidates":
        """Some of them."""
        return Candidates(
            self.ids[rows],
            self.labels[rows],
            self.probabilities[rows],
            self.uncertain[rows],
            self.vectors[rows],
        )

    def joined(self, other: "Candidates") -> "Candidates":
        """These and others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Candidates(*(np.concatenate(pair) for pair in pairs))


def suggest(request: SuggestRequest, console: Console | None = None) -> list[str]:
    """Write which products to label next, the most useful first.

    Args:
        request: the run and the products.
        console: where progress goes.

    Returns:
        Their ids.

    Raises:
        PredictionError: the input cannot be read, or every product has a label.
        SettingsError: the run predicts several labels per product.
        RunError: the run cannot be used.
    """
    console = console or Console()
    columns = column_settings(request.model.run, request.overrides)
    predictor = request.model.load()
    check_one_label(predictor.model, "suggest")
    table = ProductTable(
        request.source, columns, pictures=request.pictures,
        reads_pictures=predictor.reads_pictures, reads_titles=predictor.reads_titles, further=predictor.fields,
    )  # fmt: skip
    for note in table.notes:
        console.warn(note)
    labelled = _labelled(request.source, columns)
    found: Candidates | None = None
    read = faults = 0
    with console.bar("predict", table.count) as step:
        for some, faulty in _candidates(table, predictor, labelled):
            faults += faulty
            if some is None:
                continue
            read += len(some.ids)
            found = some if found is None else found.joined(some)
            found = found.at(most_uncertain(found.uncertain, request.count))
            step(read, max(table.count, read))
    if found is None:
        raise PredictionError(
            f"{request.source}: no product to suggest: {len(labelled):,} have a label, {faults:,} cannot be read; give "
            f"products whose column {columns.label!r} is empty"
        )
    chosen = found.at(choose_varied(found.uncertain, found.vectors, request.count))
    shown = shown_products(request.source, columns, request.pictures)
    wrote = write_review(request.out, shown, predictor, _suggested(chosen, predictor))
    console.info(
        f"{read:,} products without a label, {len(labelled):,} with one, {faults:,} that cannot be read; wrote {wrote}"
    )
    console.info(
        f"next: fill the column correction of {request.out / 'corrections.csv'}, or label in Label Studio; then "
        "fusionclf data apply"
    )
    return [str(product) for product in chosen.ids]


def _labelled(source: Path, columns: CatalogConfig) -> set[str]:
    """Ids of the products that have a label."""
    if source.is_dir():
        return set()
    table = open_table(source, delimiter=columns.delimiter, encoding=columns.encoding, wanted=(columns.id,))
    if table.lacking((columns.id, columns.label)):
        return set()
    rows = table.chunks((columns.id, columns.label), last=columns.title, lenient=True)
    return {
        product.strip()
        for some in rows
        for product, label in zip(some.table[columns.id], some.table[columns.label], strict=True)
        if not is_missing(label)
    }


def _candidates(
    table: ProductTable, predictor: Predictor, labelled: set[str]
) -> Iterator[tuple[Candidates | None, int]]:
    """The products without a label of each chunk that has some, and the number of its rows that cannot be read."""
    untrained = _untrained(predictor)
    predictor.warm_up(table.count)
    names = np.array(predictor.classes, object)
    for chunk in table.chunks(predictor.chunk_size):
        keep = np.array([product not in labelled for product in chunk.ids], bool)
        rows = np.flatnonzero(keep)
        pictures = [chunk.pictures[row] for row in rows]
        products = predictor.read(pictures, chunk.fields.iloc[rows].reset_index(drop=True))
        answered = rows[products.answerable]
        faults = len(chunk.faults) + len(rows) - len(answered)
        if not len(answered):
            yield None, faults
            continue
        found = predictor.model.embed(products.pictures, products.fields)
        probabilities, vectors = found["label"], np.nan_to_num(found["joint"])
        first = probabilities.argmax(axis=1)
        uncertain = uncertainty(probabilities)
        uncertain[np.isin(first, untrained)] = 1.0
        ids = np.array(chunk.ids, object)[answered]
        shares = probabilities[np.arange(len(first)), first]
        yield Candidates(ids, names[first], shares, uncertain, vectors), faults
    predictor.keep_texts()


def _untrained(predictor: Predictor) -> np.ndarray:
    """Places of the classes without a training row."""
    assert predictor.folder is not None
    graph = CategoryGraph.load(predictor.folder / "model" / "graph.json")
    trained = {path[-1] for path, rows in zip(graph.paths, graph.rows, strict=True) if rows}
    return np.array([n for n, name in enumerate(predictor.classes) if name not in trained], np.int64)


def _suggested(chosen: Candidates, predictor: Predictor) -> dict[str, Suggested]:
    untrained = {predictor.classes[place] for place in _untrained(predictor)}
    return {
        str(product): Suggested(
            str(label), float(share), NO_TRAINING_ROWS if label in untrained else UNCERTAIN
        )
        for product, label, share in zip(chosen.ids, chosen.labels, chosen.probabilities, strict=True)
    }
