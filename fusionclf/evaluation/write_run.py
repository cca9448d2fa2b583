"""The last step of every run: predictions, cost and metrics into the run folder."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from pydantic import BaseModel

from fusionclf.catalog import Catalog, Split
from fusionclf.config import dump_yaml
from fusionclf.evaluation.category_graph import CategoryGraph
from fusionclf.evaluation.metrics import run_metrics
from fusionclf.evaluation.predictions import write_predictions
from fusionclf.evaluation.thresholds import HELD_OUT
from fusionclf.files import write_json, write_text
from fusionclf.runfolder import FINISHED


def finish_run(
    folder: Path,
    variant: str,
    settings: BaseModel,
    catalog: Catalog,
    split: Split,
    frames: Mapping[str, pd.DataFrame],
    environment: Mapping[str, Any],
    held_out: Mapping[str, pd.DataFrame] | None = None,
    card: Callable[[Path, dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Write all that a run leaves; metrics.json last, since it marks the run as finished.

    Args:
        folder: the run folder.
        variant: name of the model.
        settings: the resolved settings.
        catalog, split: what was scored.
        frames: predictions by part, ALL_CLASSES for the model over all classes.
        environment: versions, device and cost.
        held_out: predictions of validation products by part, by models that were not fitted on them.
        card: writes the model card from the folder and metrics.json's content.

    Returns:
        metrics.json's content.
    """
    write_text(folder / "config.yaml", dump_yaml(settings))
    split.save(folder / "split.json")
    for part, frame in frames.items():
        write_predictions(folder / "predictions" / f"{part}.parquet", frame)
    for part, frame in (held_out or {}).items():
        write_predictions(folder / HELD_OUT / f"{part}.parquet", frame)
    reading = catalog.reading
    dropped = {reason: len(ids) for reason, ids in reading.dropped.items()}
    read = {"rows_read": reading.rows_read, "repaired": len(reading.repaired), "dropped": dropped}
    write_json(folder / "environment.json", {**environment, "catalog": {**read, "products": len(catalog)}})
    graph = CategoryGraph.from_split(catalog, split)
    graph.save(folder / "model" / "graph.json")
    metrics = run_metrics(variant, frames, graph, held_out)
    if card is not None:
        card(folder, metrics)
    write_json(folder / FINISHED, metrics)
    return metrics
