"""The contents of a run folder's JSON files but metrics.json. Readers validate with `read_json_as` and one of these.

Files are read in pydantic's strict mode: a text is not a number, and numbers are finite. Some types keep further keys.
"""

from pathlib import Path
from typing import Annotated, Any, Final, NotRequired

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter
from typing_extensions import TypedDict

from fusionclf.config import CatalogConfig, SplitConfig, build_settings, current_scheme, read_yaml
from fusionclf.errors import RunError, SettingsError
from fusionclf.runfolder import AGAIN, one_line, read_json_as

ALL_CLASSES: Final = "joint"  # what files call the model over all classes, where others name a part
SPLIT_FILE = "split.json"
MORE_KEYS = ConfigDict(extra="allow")

Text = Annotated[str, Field(max_length=10_000)]
Command = Annotated[str, Field(max_length=1_000_000)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
# A part is used in file names, so it must not be a path.
Part = Annotated[str, Field(pattern=r"^\w[\w.-]{0,99}$")]
Count = Annotated[int, Field(ge=0, le=2**53)]
Number = Annotated[FiniteFloat, Field(ge=0, le=1e18)]
Percent = Annotated[FiniteFloat, Field(ge=0, le=100.001)]  # rounding may add to 100
Temperature = Annotated[FiniteFloat, Field(gt=0, le=1e12)]
Interval = Annotated[list[FiniteFloat], Field(min_length=2, max_length=2)]


def _check_unique(names: list[str]) -> list[str]:
    if len(set(names)) != len(names):
        raise ValueError("a name occurs twice")
    return names


Names = Annotated[list[Text], Field(min_length=1), AfterValidator(_check_unique)]


class CatalogCounts(TypedDict):
    """Rows of the catalog that the run read."""

    rows_read: Count
    repaired: Count
    dropped: dict[Text, Count]
    products: Count


class Environment(TypedDict):
    """environment.json."""

    __pydantic_config__ = MORE_KEYS  # pyright: ignore[reportGeneralTypeIssues]

    finished_at: Text
    command: Command
    versions: dict[Text, Text]
    platform: Text
    peak_memory_mib: Number
    seconds: Number
    device: Text
    train_seconds: Number | None  # None, as below: of predictions that were imported, this is not known
    predict_seconds: Number | None
    products_per_second: Number | None
    pictures_per_second: Number | None
    parameters: Count | None
    catalog: CatalogCounts


class Subsets(TypedDict):
    """Product ids of one part."""

    train: list[Text]
    validation: list[Text]
    test: list[Text]


class SplitFile(TypedDict):
    """split.json."""

    spec: dict[Text, Any]
    catalog_sha256: Digest
    sha256: Digest
    columns_sha256: NotRequired[dict[Text, Digest]]  # of columns that catalog_sha256 may leave out
    classes: Annotated[dict[Part, list[Text]], Field(min_length=1)]
    ids: dict[Part, Subsets]


def _check_split(split: SplitFile) -> SplitFile:
    if list(split["classes"]) != list(split["ids"]):
        raise ValueError("classes and ids name different parts")
    return split


class MultilabelRule(TypedDict):
    """How scores become labels where a product can have several."""

    offset: FiniteFloat
    thresholds: list[Annotated[FiniteFloat, Field(ge=0, le=1)]]  # of the candidates


class PartLabels(TypedDict):
    """The classes of a part's model."""

    __pydantic_config__ = MORE_KEYS  # pyright: ignore[reportGeneralTypeIssues]

    classes: dict[Text, Names]
    temperature: Temperature
    temperatures: NotRequired[dict[Text, Temperature]]  # of the further columns
    candidates: NotRequired[Names]
    paths: NotRequired[list[Text]]
    synonyms: NotRequired[list[list[Text]]]
    language: NotRequired[Text]  # of names and titles; English where it is not given
    multilabel: NotRequired[MultilabelRule]  # where a product can have several labels


def _check_labels(labels: PartLabels) -> PartLabels:
    if "label" not in labels["classes"]:
        raise ValueError("classes lacks 'label'")
    count = len(labels["classes"]["label"])
    for key, entries in (("paths", labels.get("paths")), ("synonyms", labels.get("synonyms"))):
        if entries is not None and len(entries) != count:
            raise ValueError(f"{key} has {len(entries)} entries for {count} classes")
    rule, candidates = labels.get("multilabel"), labels.get("candidates", labels["classes"]["label"])
    if rule is not None and len(rule["thresholds"]) != len(candidates):
        raise ValueError(f"multilabel has {len(rule['thresholds'])} thresholds for {len(candidates)} labels")
    if not set(labels["classes"]["label"]) <= set(labels.get("candidates", labels["classes"]["label"])):
        raise ValueError("a class is not among the candidates")
    return labels


Labels = Annotated[dict[Part, Annotated[PartLabels, AfterValidator(_check_labels)]], Field(min_length=1)]


class GraphPath(TypedDict):
    """A category path and its training rows."""

    path: list[Text]
    rows: Count


class GraphFile(TypedDict):
    """model/graph.json."""

    levels: Annotated[list[Text], Field(min_length=1)]
    classes: Names
    paths: list[GraphPath]


class LogRow(TypedDict):
    """A line of log.jsonl: an epoch. A loss may be NaN."""

    __pydantic_config__ = MORE_KEYS  # pyright: ignore[reportGeneralTypeIssues]

    stage: Text
    epoch: NotRequired[Count]
    train_loss: NotRequired[float | None]
    val_loss: NotRequired[float | None]
    val_top1: NotRequired[float | None]
    learning_rate: NotRequired[float | None]
    seconds: NotRequired[float | None]
    pictures_per_second: NotRequired[float | None]


ENVIRONMENT = TypeAdapter(Environment)
SPLIT = TypeAdapter(Annotated[SplitFile, AfterValidator(_check_split)])
LABELS = TypeAdapter(Labels)
GRAPH = TypeAdapter(GraphFile)
LOG_ROW = TypeAdapter(LogRow)


def read_labels(folder: Path, part: str | None = None) -> dict[str, PartLabels]:
    """labels.json of a model folder.

    Args:
        folder: the run's model folder.
        part: a part that must be in it.

    Raises:
        RunError: the file is missing or damaged, or has no such part; or the run holds imported predictions.
    """
    if not (folder / "labels.json").is_file():
        _refuse_imported(folder.parent)
    labels = read_json_as(folder / "labels.json", LABELS)
    if part is not None and part not in labels:
        raise RunError(f"{folder}: no model of part {part!r}; it has: {', '.join(labels)}")
    return labels


def _refuse_imported(run: Path) -> None:
    """Raise RunError where a run holds another program's predictions and no model."""
    imported = read_config(run).get("imported") if (run / "config.yaml").is_file() else None
    if isinstance(imported, dict):
        raise RunError(
            one_line(
                f"has no model: its predictions were imported from {imported.get('file')}; only compare and "
                "label-issues can read it; give a run of train or baseline",
                run,
            )
        )


class RunSettings(BaseModel):
    """Settings that every config.yaml has."""

    model_config = ConfigDict(extra="allow")

    variant: str
    data: str
    seed: Annotated[int, Field(ge=0)]
    catalog: CatalogConfig
    split: SplitConfig


def read_config(folder: Path) -> dict[str, Any]:
    """config.yaml of a run, as plain data.

    Raises:
        RunError: the file is missing or damaged.
    """
    file = folder / "config.yaml"
    try:
        values = read_yaml(file)
        known = build_settings(RunSettings, values).model_dump(mode="json")
    except SettingsError as error:
        raise RunError(one_line(f"{error}; {AGAIN}", file)) from error
    except (TypeError, ValueError, RecursionError) as error:
        raise RunError(one_line(f"not settings ({error}); {AGAIN}", file)) from error
    if "scheme" in known:
        known["scheme"] = current_scheme(known["scheme"])
    return {key: known[key] for key in values}
