"""The content of metrics.json. Readers validate with `read_json_as` and METRICS."""

from typing import Annotated, NotRequired

from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter
from typing_extensions import TypedDict

from fusionclf.run_schema import ALL_CLASSES, MORE_KEYS, Count, Interval, Number, Part, Percent, Text


class Scores(TypedDict):
    """Metrics of one part."""

    n: Count
    top1: Percent | None
    top5: Percent | None
    seen: Percent | None
    unseen: Percent | None
    harmonic: Percent | None
    macro_f1: Percent | None
    balanced_accuracy: Percent | None
    ece: Percent | None


class NoScores(TypedDict):
    """In place of Scores where a run has no model over all classes."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # pyright: ignore[reportGeneralTypeIssues]

    top1: None


class Slice(TypedDict):
    """Products of one kind."""

    n: Count
    top1: Percent | None


class ClassRow(TypedDict):
    """Metrics of one class."""

    label: Text
    train_rows: Count
    test_rows: Count
    top1: Percent | None
    top5: Percent | None


class LevelScore(TypedDict):
    """Accuracy down to one category level."""

    column: Text
    top1: Percent | None


class Hierarchy(TypedDict):
    """Metrics of the predicted category paths."""

    n: Count
    levels: list[LevelScore]
    errors: Count
    distance: Number | None
    histogram: dict[Annotated[str, Field(pattern=r"^\d{1,9}$")], Count]


class LevelDecision(TypedDict):
    """Products that are classified down to one level."""

    column: Text
    answered: Percent | None
    precision: Percent | None


class Decision(TypedDict):
    """What thresholds for a target precision do to the predictions.

    `largest` is given where the target cannot be guaranteed from the held-out predictions; older runs have no such key.
    """

    target: Percent
    largest: NotRequired[Percent | None]
    accepted: Percent | None
    precision: Percent | None
    review: Percent | None
    rejected: Percent | None
    levels: list[LevelDecision]
    unanswered: Percent | None


class ColumnScores(TypedDict):
    """Metrics of a further column."""

    n: Count
    empty: Count
    unanswered: Count
    top1: Percent | None
    macro_f1: Percent | None
    balanced_accuracy: Percent | None
    ece: Percent | None
    majority: Percent | None
    intervals: dict[Text, Interval | None]


class MultilabelScores(TypedDict):
    """Metrics of a model of several labels per product."""

    n: Count
    micro_f1: Percent | None
    macro_f1: Percent | None
    mean_average_precision: Percent | None
    micro_precision: Percent | None
    micro_recall: Percent | None
    subset_accuracy: Percent | None
    ranking_precision: Percent | None
    labels: Number | None
    predicted: Number | None


class LabelRow(TypedDict):
    """Metrics of one of several labels."""

    label: Text
    train_rows: Count
    test_rows: Count
    predicted_rows: Count
    precision: Percent | None
    recall: Percent | None
    f1: Percent | None
    average_precision: Percent | None
    threshold: Number


class Multilabel(TypedDict):
    """What metrics.json holds where a product can have several labels."""

    scores: MultilabelScores
    intervals: dict[Text, Interval | None]
    per_label: list[LabelRow]


class FusionParts(TypedDict):
    """What the parts of a fusion answer for held-out products with picture and title."""

    n: Count
    answers_by: Text
    powers: list[Number]
    losses: list[Number]
    parts: dict[Text, dict[Text, Percent | None]]
    products: dict[Text, Count]


class Metrics(TypedDict):
    """metrics.json."""

    __pydantic_config__ = MORE_KEYS  # pyright: ignore[reportGeneralTypeIssues]

    variant: Text
    parts: dict[Part, Scores]
    joint: Annotated[Scores | NoScores, Field(union_mode="left_to_right")]
    intervals: dict[Part, dict[Text, Interval | None]]
    slices: dict[Part, dict[Text, Slice]]
    per_class: dict[Part, list[ClassRow]]
    hierarchy: dict[Part, Hierarchy]
    decisions: dict[Part, list[Decision]]
    answers: NotRequired[dict[Part, dict[Text, ColumnScores]]]
    fusion_parts: NotRequired[dict[Part, FusionParts]]
    multilabel: NotRequired[Multilabel]  # the other metrics are empty then


def _check_metrics(metrics: Metrics) -> Metrics:
    scored = {*metrics["parts"], *([ALL_CLASSES] if metrics[ALL_CLASSES]["top1"] is not None else [])}
    for key in ("intervals", "slices", "per_class"):
        if lacking := sorted(scored - set(metrics[key])):
            raise ValueError(f"{key} lacks the part {lacking[0]!r}")
    return metrics


METRICS = TypeAdapter(Annotated[Metrics, AfterValidator(_check_metrics)])
