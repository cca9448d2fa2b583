"""A run's model for engines that hand over one pandas table after another, such as Ray Data and Spark."""

import warnings
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import pandas as pd

from fusionclf.config import Overrides
from fusionclf.errors import PredictionError, RunError, near_path, quoted
from fusionclf.prediction.answers import NONE, DecisionRule
from fusionclf.prediction.io.frames import FrameTable
from fusionclf.prediction.io.product_rows import Chunk, ProductRows
from fusionclf.prediction.job import column_settings, model_state, threshold_note
from fusionclf.prediction.loading import load

MOST_OPEN = 4  # predictors that a process keeps


@dataclass(frozen=True)
class BatchRequest:
    """What to predict, and how.

    Attributes:
        run: the run folder.
        part: which of its models.
        rule: how probabilities become a decision.
        pictures: folder below which the pictures are.
        overrides: catalog.* settings laid over the run's own.
    """

    run: Path
    part: str | None = None
    rule: DecisionRule = field(default_factory=DecisionRule)
    pictures: Path | None = None
    overrides: Overrides = field(default=(), hash=False)  # a mapping has no hash


def open_batches(request: BatchRequest) -> "BatchPredictor":
    """The predictor of a request, loaded at its first use, and again if its run has changed.

    A process keeps the MOST_OPEN predictors that it used last.

    Raises:
        RunError: the folder is no finished run.
        SettingsError: an override is unknown or has a bad value.
    """
    return _opened(request).current()


@lru_cache(maxsize=MOST_OPEN)
def _opened(request: BatchRequest) -> "_Opened":
    return _Opened(request)


class _Opened:
    """The predictor of a request and the state of its run when it was loaded."""

    def __init__(self, request: BatchRequest) -> None:
        self._request = request
        self._state: list[object] = []
        self._predictor: BatchPredictor | None = None

    def current(self) -> "BatchPredictor":
        """The predictor; it is loaded at the first call and if the run has changed since."""
        state = _state(self._request.run)
        if self._predictor is None or state != self._state:
            self._predictor = None  # frees the old model before the new one is loaded
            self._predictor, self._state = BatchPredictor(self._request), state
        return self._predictor


def _state(run: Path) -> list[object]:
    """Differs after a run is trained again or its added classes change."""
    metrics = run / "metrics.json"
    return [metrics.stat().st_mtime_ns if metrics.is_file() else 0, *model_state(run)]


class BatchPredictor:
    """Predicts one table after another with a run's model.

    Args:
        request: what to predict, and how.

    Raises:
        RunError: the folder is no finished run.
        SettingsError: an override is unknown or has a bad value.
        PredictionError: the folder of pictures does not exist.
    """

    def __init__(self, request: BatchRequest) -> None:
        pictures = request.pictures
        if pictures is not None and not pictures.is_dir():
            raise PredictionError(f"pictures={str(pictures)!r}: no such folder{near_path(pictures)}")
        if not request.run.is_dir():
            raise RunError(f"{request.run}: no such folder on this machine; give a run folder that all share")
        columns = column_settings(request.run, request.overrides)
        self._rule, self._has_folder = request.rule, pictures is not None
        self._predictor = load(request.run, part=request.part)
        self._rows = ProductRows(
            columns, pictures or Path(), reads_pictures=self._predictor.reads_pictures,
            reads_titles=self._predictor.reads_titles, further=self._predictor.fields,
        )  # fmt: skip
        self._seen = self._expected = 0
        self._warned = set[str]()
        if request.rule.target_precision is not None:
            self._predictor.thresholds(request.rule.target_precision)  # fails where it cannot be guaranteed
            self._warn(threshold_note(self._predictor))

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """A row for each of n products: `id`, then the columns of `Answers.to_frame`.

        Raises:
            CatalogError, PredictionError: as of `ProductRows.use`, or there are paths of pictures but no folder.
        """
        table = FrameTable(frame)
        self._rows.use(table)
        for note in self._rows.notes:
            self._warn(note)
        if self._rows.has_pictures and not self._has_folder:
            raise PredictionError(
                f"catalog.picture={quoted(str(self._rows.columns.picture))}: unknown folder of the paths; give "
                'pictures="FOLDER", or catalog={"picture": None} to read no pictures'
            )
        self._warm_up(len(frame))
        chunks = table.chunks(self._rows.wanted, self._predictor.chunk_size)
        found = [self._answer(self._rows.chunk(n, rows), len(rows.lines)) for n, rows in enumerate(chunks)]
        return pd.concat(found, ignore_index=True)

    def schema(self) -> str:
        """The columns of `predict` and their types, as Spark writes them: "`id` string, `prob_1` double"."""
        empty = self._answer(Chunk(0, [], self._rows.fields({}, 0), [], [], []), 0)
        kinds = {str(name): "double" if kind.kind == "f" else "string" for name, kind in empty.dtypes.items()}
        return ", ".join(f"`{name.replace('`', '``')}` {kind}" for name, kind in kinds.items())

    def _answer(self, chunk: Chunk, count: int) -> pd.DataFrame:
        """The answers of a chunk, with a row for each of its `count` rows."""
        products = self._predictor.read(chunk.pictures, chunk.fields)
        answers = self._predictor.predict_products(products, self._rule).to_frame()
        answers.insert(0, "id", pd.Series(chunk.ids, dtype="str"))
        if not chunk.faults:
            return answers
        offset = min(map(_number, [*chunk.places, *(fault.place for fault in chunk.faults)]))
        answers.index = pd.Index([_number(place) - offset for place in chunk.places])
        answers = answers.reindex(range(count))
        for fault in chunk.faults:
            answers.loc[_number(fault.place) - offset, ["id", "decision", "reason"]] = (
                fault.id,
                NONE,
                fault.reason,
            )
        return answers

    def _warm_up(self, count: int) -> None:
        """Prepare for as many products as there were up to now: nobody knows how many come."""
        self._seen += count
        if self._seen >= 2 * self._expected:
            self._expected = self._seen
            self._predictor.warm_up(self._expected)

    def _warn(self, note: str) -> None:
        if note and note not in self._warned:
            self._warned.add(note)
            warnings.warn(note, stacklevel=2)


def _number(place: str) -> int:
    """The number of a row by its place, such as "row 7"."""
    return int(place.rpartition(" ")[2])
