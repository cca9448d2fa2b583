"""Run folder → Predictor."""

from pathlib import Path
from typing import Any

from baselines import baseline_names
from fusionclf.config import RunConfig, build_settings, read_yaml
from fusionclf.errors import RunError, did_you_mean, near_path
from fusionclf.evaluation import CategoryGraph
from fusionclf.models import find_variant
from fusionclf.models.classes import read_added
from fusionclf.prediction.baseline import BaselineModel
from fusionclf.prediction.network import NetworkModel
from fusionclf.prediction.predictor import Predictor
from fusionclf.runfolder import is_finished, read_json

JOINT = "joint"


def load(run: str | Path, *, part: str | None = None, device: str | None = None) -> Predictor:
    """As `fusionclf.load`, which imports this, and torch, when it is first called."""
    folder = Path(run)
    if not folder.is_dir():
        raise RunError(
            f"{folder}: no such folder; give the run folder that `fusionclf train … --out` made{near_path(folder)}"
        )
    if not is_finished(folder):
        raise RunError(f"{folder}: not a finished run (no metrics.json); finish it with --resume")
    settings = read_yaml(folder / "config.yaml")
    chosen = _choose_part(folder, part)
    paths = _paths(folder) | {new.name: list(new.place) for new in read_added(folder / "model", chosen)}
    return Predictor(_open_model(folder / "model", chosen, settings, device), chosen, paths, folder)


def _choose_part(folder: Path, part: str | None) -> str:
    parts = list(read_json(folder / "model" / "labels.json"))
    if part is not None and part not in parts:
        raise RunError(f"{folder}: no model of part {part!r}; {did_you_mean(part, parts)}")
    if part is None and JOINT not in parts and len(parts) > 1:
        raise RunError(
            f"{folder}: has no model over all classes but one for each of {', '.join(parts)}; choose one: "
            f"part={parts[0]!r}, or --part {parts[0]}"
        )
    return part or (JOINT if JOINT in parts else parts[0])


def _open_model(
    folder: Path, part: str, values: dict[str, Any], device: str | None
) -> BaselineModel | NetworkModel:
    name = str(values.get("variant"))
    if name in baseline_names():
        return BaselineModel(folder, part)
    settings = build_settings(RunConfig[find_variant(name).params], values)
    return NetworkModel(folder, part, settings, device)


def _paths(folder: Path) -> dict[str, list[str]]:
    """Category path of each class; none in a run of a version that kept none."""
    file = folder / "model" / "graph.json"
    if not file.is_file():
        return {}
    graph = CategoryGraph.load(file)
    return {name: list(graph.best_path(name)[:-1]) for name in graph.classes}
