"""Products drawn from a file at random, with what a model answers about them, in bounded memory."""

from dataclasses import dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.catalog.counted_examples import EXAMPLES, CountedExamples
from fusionclf.catalog.input_profile import MISSING, PICTURE, profile_products
from fusionclf.console import Console
from fusionclf.prediction.answers import DecisionRule, join_answers
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.predictor import Predictor

READ_TOGETHER = 8192  # rows
CLASS, CONFIDENCE = "predicted class", "confidence"


@dataclass(frozen=True)
class DrawnProducts:
    """Products of a file.

    Attributes:
        rows: how many the file has.
        faults: its rows that are no products.
        fields: what is written about n of them.
        pictures: n files, a tuple for a product with several; None where the picture is missing.
    """

    rows: int
    faults: CountedExamples
    fields: pd.DataFrame
    pictures: list[str | tuple[str, ...] | None]

    @property
    def first_pictures(self) -> list[Path | None]:
        """The first picture of each product."""
        firsts = (own[0] if isinstance(own, tuple) else own for own in self.pictures)
        return [None if path is None else Path(path) for path in firsts]

    def __len__(self) -> int:
        return len(self.fields)


def draw_products(table: ProductTable, most: int) -> DrawnProducts:
    """About `most` products of a table, drawn at random, the same each time; all of a table with fewer."""
    share, random = min(1.0, most / max(table.count, 1)), np.random.default_rng(0)
    rows, fields, faults = 0, list[pd.DataFrame](), list[str]()
    pictures: list[str | tuple[str, ...] | None] = []
    for chunk in table.chunks(READ_TOGETHER):
        rows += len(chunk.ids)
        faults += [f"{fault.place}: {fault.reason}" for fault in chunk.faults]
        drawn = random.random(len(chunk.ids)) < share
        fields.append(chunk.fields.loc[drawn])
        pictures += compress(chunk.pictures, drawn.tolist())
    counted = CountedExamples(len(faults), faults[:EXAMPLES])
    return DrawnProducts(rows, counted, pd.concat(fields, ignore_index=True), pictures)


def describe_products(
    predictor: Predictor, drawn: DrawnProducts, known: np.ndarray, console: Console
) -> pd.DataFrame:
    """What a model answers about n products, and the profile of the inputs that it reads: a row a product.

    Args:
        predictor: the model.
        drawn: the products.
        known: words of its training products, as of `known_words`.
        console: shows the progress.
    """
    names = ["title", *predictor.fields.names] if predictor.reads_titles else []
    paths = drawn.first_pictures if predictor.reads_pictures else None
    texts = ("title", *predictor.fields.text)
    found = profile_products(drawn.fields.loc[:, names], paths, known, texts)
    predictor.warm_up(len(drawn))
    answers, size = [], predictor.chunk_size
    with console.bar("predict", len(drawn)) as step:
        for start in range(0, max(len(drawn), 1), size):
            chunk = slice(start, start + size)
            products = predictor.read(drawn.pictures[chunk], drawn.fields.iloc[chunk])
            answers.append(predictor.predict_products(products, DecisionRule(top_k=1)))
            step(min(start + size, len(drawn)), len(drawn))
    joined = join_answers(answers)
    if paths is not None:
        found[f"{MISSING}:{PICTURE}"] = np.array([status != "used" for status in joined.picture_status], bool)
    found.insert(0, CONFIDENCE, joined.probabilities[:, 0])
    firsts = [labels[0] if labels else None for labels in joined.labels]
    found.insert(0, CLASS, pd.Series(firsts, dtype="str"))
    return found
