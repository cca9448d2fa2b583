"""Run folder → Predictor."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from baselines import baseline_names, find_baseline
from fusionclf.catalog.fields import Fields
from fusionclf.config import RunConfig, build_settings
from fusionclf.errors import RunError, SettingsError, did_you_mean, near_path
from fusionclf.evaluation import CategoryGraph
from fusionclf.memory import no_cycle_collection
from fusionclf.prediction.predictor import Predictor
from fusionclf.run_schema import ALL_CLASSES, read_config, read_labels
from fusionclf.runfolder import AGAIN, check_finished, one_line

if TYPE_CHECKING:
    from fusionclf.models.engine import Choice
    from fusionclf.prediction.baseline import BaselineModel
    from fusionclf.prediction.network import NetworkModel


@dataclass(frozen=True)
class RunModel:
    """One of a run's models.

    Attributes:
        run: the run folder.
        part: which of its models; None for the one over all classes, or the only one.
        cpu: stay on the CPU.
        engine: what runs its encoders: auto, torch or onnx; None: what ran them in training.
    """

    run: Path
    part: str | None = None
    cpu: bool = False
    engine: "Choice | None" = None

    def load(self) -> Predictor:
        """The model, loaded."""
        return load(self.run, part=self.part, device="cpu" if self.cpu else None, engine=self.engine)


@no_cycle_collection()
def load(
    run: str | Path, *, part: str | None = None, device: str | None = None, engine: "Choice | None" = None
) -> Predictor:
    """As `fusionclf.load`, which imports this module, and torch, at its first call."""
    folder = Path(run)
    if not folder.is_dir():
        raise RunError(
            f"{folder}: no such folder; give the run folder that `fusionclf train … --out` made{near_path(folder)}"
        )
    check_finished(folder)
    settings = read_config(folder)
    chosen = _choose_part(folder, part)
    paths = _paths(folder, chosen)
    if settings["variant"] in baseline_names():
        return Predictor(_open_baseline(folder, chosen, settings), chosen, paths, folder)
    from fusionclf.models.added_classes import (  # as torch, it takes long to import
        AddedToPart,
        read_all_added,
    )

    added = read_all_added(folder / "model").get(chosen, AddedToPart())
    paths |= {new.name: list(new.place) for new in added.classes}
    return Predictor(
        _open_network(folder, chosen, settings, device, engine), chosen, paths, folder, added.ids
    )


def _choose_part(folder: Path, part: str | None) -> str:
    parts = list(read_labels(folder / "model"))
    if part is not None and part not in parts:
        raise RunError(f"{folder}: no model of part {part!r}; {did_you_mean(part, parts)}")
    if part is None and ALL_CLASSES not in parts and len(parts) > 1:
        raise RunError(
            f"{folder}: has no model over all classes, but one for each of {', '.join(parts)}; choose one: "
            f"part={parts[0]!r}, or --part {parts[0]}"
        )
    return part or (ALL_CLASSES if ALL_CLASSES in parts else parts[0])


def _open_baseline(folder: Path, part: str, values: dict[str, Any]) -> "BaselineModel":
    from fusionclf.prediction.baseline import BaselineModel

    with _config_faults(folder):
        known = build_settings(find_baseline(values["variant"]).settings, values)
    return BaselineModel(folder / "model", part, Fields.of(known.catalog))


def _open_network(
    folder: Path, part: str, values: dict[str, Any], device: str | None, engine: "Choice | None"
) -> "NetworkModel":
    from fusionclf.models import find_variant
    from fusionclf.prediction.network import NetworkModel

    with _config_faults(folder):
        settings = build_settings(RunConfig[find_variant(values["variant"]).params], values)
    return NetworkModel(folder / "model", part, settings, device, engine)


@contextmanager
def _config_faults(folder: Path) -> Iterator[None]:
    """Within it, a SettingsError becomes a RunError that names the run's settings."""
    try:
        yield
    except SettingsError as error:
        raise RunError(one_line(f"{error}; {AGAIN}", folder / "config.yaml")) from error


def _paths(folder: Path, part: str) -> dict[str, list[str]]:
    """Category path of each class.

    Raises:
        RunError: the category graph is missing or damaged, or lacks a class of the model.
    """
    file = folder / "model" / "graph.json"
    graph = CategoryGraph.load(file)
    labels = read_labels(folder / "model", part)[part]
    if lacking := sorted(set(labels.get("candidates", labels["classes"]["label"])) - set(graph.classes)):
        raise RunError(one_line(f"lacks the class {lacking[0]!r} of labels.json; {AGAIN}", file))
    return {name: list(graph.best_path(name)[:-1]) for name in graph.classes}
