"""An export beside its original: the same test products through both."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from fusionclf.catalog import Catalog, Split, read_catalog
from fusionclf.catalog.fields import TITLE
from fusionclf.errors import CatalogError, RunError
from fusionclf.export.runtime import open_exported
from fusionclf.prediction import Products
from fusionclf.prediction.network import NetworkModel

TOLERANCE = 1e-3  # of probabilities
SEED = 0


@dataclass(frozen=True)
class Check:
    """Agreement of an export with its original on the same test products.

    Attributes:
        products: number of test products.
        same_top1: number of products with the same predicted class.
        largest_difference: of a probability.
        same_as_predict: number of products for which `predict` at the run's own precision gives the same class.
    """

    products: int
    same_top1: int
    largest_difference: float
    same_as_predict: int

    @property
    def passed(self) -> bool:
        return self.same_top1 == self.products and self.largest_difference <= TOLERANCE


def compare(folder: Path, products: Products, plain: np.ndarray, as_predicted: np.ndarray) -> Check:
    """The agreement of the export in `folder` with its original.

    Args:
        folder: what `write_export` wrote.
        products: test products.
        plain: (n, K) probabilities of the original in float32.
        as_predicted: (n, K) probabilities of the original at the run's own precision.
    """
    exported = open_exported(folder).model.probabilities(products.pictures, products.fields)
    first = exported.argmax(axis=1)
    return Check(
        len(first),
        int((first == plain.argmax(axis=1)).sum()),
        float(np.abs(exported - plain).max()),
        int((first == as_predicted.argmax(axis=1)).sum()),
    )


def select_test_products(
    run: Path, part: str, data: Path | None, model: NetworkModel, count: int
) -> tuple[list[tuple[Path, ...]], pd.DataFrame, bool]:
    """Pictures and fields of some test products that have every input the model reads; the same ones each time.

    Also whether products of the catalog have several pictures.

    Args:
        run: the run folder.
        part: of the split.
        data: the catalog's folder, or its table; None for the one that the run was trained on.
        model: the run's network.
        count: number of products.

    Raises:
        RunError: the catalog cannot be read, is another one, or has no such product.
    """
    folder = data or Path(model.settings.data)
    try:
        catalog = read_catalog(folder, model.settings.catalog)
    except CatalogError as error:
        raise RunError(f"{error}; give the run's catalog by --data") from error
    split = Split.load(run / "split.json")
    if catalog.sha256 != split.catalog_sha256:
        raise RunError(
            f"{folder}: is another catalog than the run's (its hash differs); give the run's catalog by --data"
        )
    rows = split.rows(catalog, part if part in split.classes else None, "test")
    rows = rows[_has_every_input(catalog, rows, model)]
    if not len(rows):
        raise RunError(
            f"{run}: cannot check the export: no test product has every input that the model reads; train on a catalog "
            "with such products"
        )
    rows = np.sort(np.random.default_rng(SEED).choice(rows, min(count, len(rows)), replace=False))
    fields = catalog.fields.iloc[rows][[TITLE, *model.fields.names]].reset_index(drop=True)
    return catalog.all_picture_paths(rows), fields, bool(catalog.further_pictures)


def _has_every_input(catalog: Catalog, rows: np.ndarray, model: NetworkModel) -> np.ndarray:
    table = catalog.table.iloc[rows]
    complete = np.ones(len(rows), bool)
    if model.cover is not None:
        complete &= (table["picture"].fillna("") != "").to_numpy(bool)
    if model.reads_titles:
        complete &= catalog.has_text[rows] if model.fields else catalog.has_title[rows]
    return complete
