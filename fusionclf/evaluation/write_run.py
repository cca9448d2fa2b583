"""The last step of every run: predictions, cost and metrics into the run folder."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from fusionclf.catalog import Catalog, Split
from fusionclf.config import dump_yaml
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.column_answers import ANSWERS, score_columns
from fusionclf.evaluation.held_out import AS_UNSEEN, HELD_OUT, HeldOut, unseen_share
from fusionclf.evaluation.metrics import run_metrics
from fusionclf.evaluation.multilabel import LabelSetPredictions, SigmoidDecision, multilabel_metrics
from fusionclf.evaluation.predictions import write_predictions
from fusionclf.evaluation.reference import write_reference
from fusionclf.files import write_json, write_text
from fusionclf.run_schema import ALL_CLASSES, read_labels
from fusionclf.runfolder import FINISHED


@dataclass(frozen=True)
class RunResult:
    """The results of a run.

    Attributes:
        variant: name of the model.
        settings: the resolved settings.
        catalog, split: the products.
        predictions: part, or ALL_CLASSES for the model over all classes → predictions of its test products; of products
            with several labels as of `make_label_set_predictions`.
        environment: versions, device and cost.
        held_out: part → predictions of train or validation products, by models that were not fitted on them.
        answers: part → `column_answers` of its test and validation products; empty where no further column is
            predicted.
        fusion_parts: part → top-1 of each part of fusion on held-out products; empty for other variants.
        as_unseen: part → predictions of train products as if their class had no train product; empty if every class has
            some, or if classes without one cannot be predicted.
    """

    variant: str
    settings: BaseModel
    catalog: Catalog
    split: Split
    predictions: Mapping[str, pd.DataFrame]
    environment: Mapping[str, Any]
    held_out: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    answers: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    fusion_parts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    as_unseen: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def save_run(
    folder: Path, result: RunResult, card: Callable[[Path, dict[str, Any]], None] | None = None
) -> dict[str, Any]:
    """Write the files of a run; metrics.json last, since it marks the run as finished.

    Args:
        folder: the run folder.
        result: what the files hold.
        card: writes the model card from the folder and metrics.json's content.

    Returns:
        metrics.json's content.
    """
    catalog, split = result.catalog, result.split
    write_text(folder / "config.yaml", dump_yaml(result.settings))
    split.save(folder / "split.json")
    for part, frame in result.predictions.items():
        write_predictions(folder / "predictions" / f"{part}.parquet", frame)
    for part, frame in result.held_out.items():
        write_predictions(folder / HELD_OUT / f"{part}.parquet", frame)
    for part, frame in result.as_unseen.items():
        write_predictions(folder / AS_UNSEEN / f"{part}.parquet", frame)
    for part, frame in result.answers.items():
        write_predictions(folder / ANSWERS / f"{part}.parquet", frame)
    read = [frame["picture_status"].ne("ignored").any() for frame in result.predictions.values()]
    write_reference(folder, catalog, split, pictures=any(read))
    write_json(folder / "environment.json", {**result.environment, "catalog": _catalog_counts(catalog)})
    graph = CategoryGraph.from_split(catalog, split)
    graph.save(folder / "model" / "graph.json")
    metrics = _metrics(folder, result, graph)
    if result.answers:
        metrics[ANSWERS] = {part: score_columns(frame) for part, frame in result.answers.items()}
    if result.fusion_parts:
        metrics["fusion_parts"] = dict(result.fusion_parts)
    if card is not None:
        card(folder, metrics)
    write_json(folder / FINISHED, metrics)
    return metrics


def _metrics(folder: Path, result: RunResult, graph: CategoryGraph) -> dict[str, Any]:
    """The metrics of one label per product, or of several by the thresholds in the model folder."""
    catalog, split = result.catalog, result.split
    if catalog.label_sets is None:
        return run_metrics(result.variant, result.predictions, graph, _held_out(result))
    decision = SigmoidDecision.from_labels(read_labels(folder / "model", ALL_CLASSES)[ALL_CLASSES])
    assert decision is not None, "the model of several labels has thresholds"
    found = LabelSetPredictions.of(result.predictions[ALL_CLASSES], split.class_names(None))
    own = multilabel_metrics(found, split.train_counts(catalog, None), decision.thresholds)
    return {**run_metrics(result.variant, {}), "multilabel": own}


def _held_out(result: RunResult) -> dict[str, HeldOut]:
    share = unseen_share(result.settings.model_dump())
    return {
        part: HeldOut(frame, result.as_unseen.get(part), share) for part, frame in result.held_out.items()
    }


def _catalog_counts(catalog: Catalog) -> dict[str, Any]:
    report = catalog.read_report
    return {
        "rows_read": report.rows_read,
        "repaired": len(report.repaired),
        "dropped": {reason: len(ids) for reason, ids in report.dropped.items()},
        "products": len(catalog),
    }
