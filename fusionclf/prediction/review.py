"""Products of a table that people are to label, or to check → the files that a review needs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fusionclf.catalog.corrections import ReviewTask, cut_note, review_files
from fusionclf.catalog.fields import TITLE
from fusionclf.catalog.tables import open_table
from fusionclf.config import CatalogConfig
from fusionclf.files import locked_folder, write_all
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.predictor import Predictor
from fusionclf.runfolder import unguarded

CHUNK = 8192  # rows at a time
REVIEWED = ("review", "reject", "abstain")  # decisions that people check, in this order


@dataclass(frozen=True)
class Suggested:
    """What a model suggests for a product.

    Attributes:
        label: the class.
        probability: of it.
        reason: why the product is to be reviewed.
    """

    label: str
    probability: float
    reason: str


def write_review(
    folder: Path, table: ProductTable, predictor: Predictor, suggested: Mapping[str, Suggested]
) -> str:
    """Write the files of a review.

    Args:
        folder: to write to; files of an earlier review are replaced.
        table: the products, from `shown_products`.
        predictor: of the run that made the suggestions.
        suggested: id → suggestion, the most important one first.

    Returns:
        How many tasks are written, for a message.
    """
    found = {task.ids[0]: task for task in _tasks(table, suggested)}
    tasks = [found[product] for product in suggested if product in found]
    model = predictor.folder.name if predictor.folder is not None else predictor.part
    with locked_folder(folder):
        write_all(folder, review_files(tasks, sorted(predictor.classes), model))
    return f"{len(tasks):,} products to {folder}{cut_note(len(tasks))}"


def shown_products(source: Path, columns: CatalogConfig, pictures: Path | None) -> ProductTable:
    """The products with titles and pictures, whatever the model reads: people look at both."""
    return ProductTable(source, columns, pictures=pictures)


def not_accepted(answers: Path) -> dict[str, Suggested]:
    """The answers of a file of `predict` that were not accepted, by decision, the most probable ones first."""
    table = open_table(answers)
    in_lists = "labels" in table.columns
    label, share = ("labels", "probabilities") if in_lists else ("label_1", "prob_1")
    found = []
    for rows in table.chunks(("id", label, share, "decision")):
        for product, first, probability, decision in rows.table.itertuples(index=False, name=None):
            if decision in REVIEWED:
                if in_lists:
                    first, probability = json.loads(first)[0], json.loads(probability)[0]
                suggestion = Suggested(unguarded(first), float(probability), decision)
                found.append(
                    (REVIEWED.index(decision), -suggestion.probability, unguarded(product), suggestion)
                )
    found.sort(key=lambda each: each[:3])
    return {product: suggestion for *_, product, suggestion in found}


def _tasks(table: ProductTable, suggested: Mapping[str, Suggested]) -> Iterator[ReviewTask]:
    """The tasks in the order of the table."""
    for chunk in table.chunks(CHUNK):
        titles = chunk.fields[TITLE].tolist()
        for product, title, picture in zip(chunk.ids, titles, chunk.pictures, strict=True):
            if (known := suggested.get(product)) is not None:
                first = picture[0] if isinstance(picture, tuple) else picture
                path = Path(first) if first is not None else None
                yield ReviewTask((product,), title, "", known.label, known.probability, path, known.reason)
