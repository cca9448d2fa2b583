"""Checks for your own variants: `check_variant` trains, saves, loads, predicts with and exports a registered one."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import yaml

from fusionclf.catalog import Catalog, generate_sample, read_catalog
from fusionclf.models import Model, Variant, base_model, find_variant
from fusionclf.prediction import load
from fusionclf.prediction.network import NetworkModel
from fusionclf.run_schema import ALL_CLASSES
from fusionclf.workflows.export import ExportRequest, export
from fusionclf.workflows.train import train

PRODUCTS = 200
# Settings that make a small model without a download, for params that have these sections.
SMALL = {
    "image": ("model.image.backbone=resnet18", "model.image.weights=none"),
    "text": ("model.text.buckets=4096", "model.text.dim=16"),
}
QUICK = (
    "scheme=single_stage", "train.epochs=1", "train.precision=fp32", "pictures.height=32", "pictures.width=32",
)  # fmt: skip


def check_variant(name: str, *settings: str, folder: str | Path | None = None) -> None:
    """Train a registered variant on a small generated catalog, and check all that a run must be able to do.

    It builds the model by its settings, trains it for one epoch, saves and loads it, compares its predictions with
    those of the run, exports it, and reads the model card. It takes a few seconds.

    Args:
        name: of the variant.
        settings: such as "model.hidden=16"; a variant whose settings have the sections `image` and `text` gets small
            encoders without weights by default.
        folder: where the catalog, the run and the export go; default: a temporary folder.

    Raises:
        AssertionError: the variant breaks the contract; the message says which part.
        SettingsError: a setting is unknown or has a bad value.

    >>> from fusionclf.testing import check_variant
    >>> check_variant("text")
    """
    variant = find_variant(name)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(folder or temporary)
        catalog = read_catalog(generate_sample(work / "catalog", products=PRODUCTS, seed=0))
        small = [word for key, words in SMALL.items() if key in variant.params.model_fields for word in words]
        words = (*QUICK, *small, *settings)
        run = work / "run"
        train(name, catalog.root, run, overrides=words, cpu=True)
        _check_model(variant, run)
        _check_predictions(run, catalog)
        _check_card(variant, run)
        check = export(ExportRequest(run, work / "export", kind="torch", products=20))
        assert check.passed, f"{name}: the export differs from the run by {check.largest_difference:.1e}"


def _check_model(variant: Variant, run: Path) -> None:
    """What was built has a head for the label, and reads the declared modalities."""
    loaded = load(run, device="cpu").model
    assert isinstance(loaded, NetworkModel)
    network: Model = loaded.model
    base = base_model(network)
    assert "label" in base.tasks, f"{variant.name}: no head for the task label"
    assert set(base.task_weights) <= set(base.tasks), (
        f"{variant.name}: task_weights names a task without a head"
    )
    found = tuple(
        modality
        for modality, encoder in (("picture", network.image), ("title", network.text_encoder))
        if encoder is not None
    )
    assert found == variant.modalities, (
        f"{variant.name}: declares modalities={variant.modalities}, and its model reads {found}"
    )
    assert "\n" not in variant.summary and variant.summary, f"{variant.name}: summary must be one line"
    faulty = [key for key, parameter in base.named_parameters() if not torch.isfinite(parameter).all()]
    assert not faulty, f"{variant.name}: parameters are not finite after training: {faulty[:3]}"


def _check_predictions(run: Path, catalog: Catalog) -> None:
    """The loaded model predicts the run's test products as the run did."""
    saved = pd.read_parquet(run / "predictions" / f"{ALL_CLASSES}.parquet").head(50)
    rows = pd.Index(catalog.table["id"]).get_indexer(pd.Index(saved["id"]))
    titles = catalog.table["title"].iloc[rows].tolist()
    found = load(run, device="cpu").predict(catalog.all_picture_paths(rows), titles, errors="collect")
    difference = np.abs(found.probabilities[:, 0] - saved["prob_1"].to_numpy()).max()
    assert difference < 1e-3, f"the loaded model predicts other probabilities than the run ({difference:.1e})"


def _check_card(variant: Variant, run: Path) -> None:
    _, metadata, text = (run / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(metadata)
    assert card.get("pipeline_tag") == variant.hub_task, (
        f"the card says pipeline_tag={card.get('pipeline_tag')}"
    )
    assert f"variant `{variant.name}`" in text, "the card does not name the variant"
