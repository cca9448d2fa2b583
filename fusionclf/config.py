"""The settings of a run: frozen pydantic sections, read from YAML and from key.path=value overrides.

An unknown key or a bad value is an error that names the path, the value and what is allowed.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from fusionclf.errors import SettingsError, did_you_mean


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def _split_commas(value: Any) -> Any:
    """`a,b` on the command line means the list [a, b]; an empty text means the empty list."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


NameList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
Grouping = Literal["title", "picture", "near_picture"]


class CatalogConfig(Section):
    """Where a catalog's file keeps what (the defaults are the Kaggle layout)."""

    file: str = Field(default="styles.csv", description="CSV below the catalog's folder")
    id: str = Field(default="id", description="column of the product id, a bare file name")
    picture: str = Field(
        default="images/{id}.jpg", description="path below the folder; {column} stands for a cell"
    )
    title: str = Field(default="productDisplayName", description="column of the title")
    label: str = Field(default="articleType", description="column of the class to predict")
    categories: NameList = Field(
        default=("masterCategory", "subCategory"), description="category columns, top down"
    )
    metadata: NameList = Field(
        default=("gender", "baseColour", "season", "usage"), description="further columns to keep"
    )
    year: str | None = Field(
        default="year", description="column of the year; null where the catalog has none"
    )
    missing_picture: Literal["drop", "keep"] = Field(
        default="drop", description="rows whose picture does not exist"
    )


class SplitConfig(Section):
    """How products are divided into parts (head classes, rest) and into train, validation and test."""

    rule: Literal["year_parity", "random", "column"] = Field(
        default="year_parity", description="train | test rule"
    )
    swap: bool = Field(default=False, description="exchange train and test")
    top_k: int = Field(default=20, ge=1, description="number of most frequent classes in the first part")
    validation_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="share of train rows kept for validation"
    )
    test_fraction: float = Field(default=0.2, gt=0, lt=1, description="share of test rows (rule random)")
    column: str | None = Field(
        default=None, description="column that says train, validation or test (rule column)"
    )
    group_by: Annotated[tuple[Grouping, ...], BeforeValidator(_split_commas)] = Field(
        default=(), description="keep products with one title, picture or near_picture on one side"
    )
    near_distance: int = Field(
        default=4, ge=0, le=32, description="bits by which near pictures' 64-bit hashes may differ"
    )
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _column_is_named(self) -> "SplitConfig":
        if self.rule == "column" and not self.column:
            raise ValueError("rule 'column' needs split.column=NAME")
        return self


class PicturesConfig(Section):
    """How pictures become tensors."""

    height: int = Field(default=224, ge=16, le=4096)
    width: int = Field(default=224, ge=16, le=4096)
    fit: Literal["crop", "stretch"] = Field(
        default="crop",
        description="crop: short side to 1.15 x size, then the centre; stretch: the whole picture",
    )
    crop_scale: float = Field(
        default=0.5, gt=0, le=1, description="smallest share of the area that a random crop keeps"
    )
    flip: bool = Field(default=True, description="flip half of the training pictures")
    unreadable: Literal["error", "drop"] = Field(
        default="error", description="pictures that cannot be decoded"
    )


class OptimiserConfig(Section):
    name: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="sgd only")
    weight_decay: float = Field(default=0.0, ge=0)
    encoder_factor: float = Field(
        default=1.0, ge=0, description="learning rate of pretrained encoders, as a factor"
    )


class ScheduleConfig(Section):
    name: Literal["step", "cosine", "one_cycle", "constant"] = "step"
    step_epochs: float = Field(default=4, gt=0, description="step: epochs between two drops")
    gamma: float = Field(default=0.25, gt=0, le=1, description="step: factor of a drop")
    warmup_epochs: float = Field(
        default=0, ge=0, description="linear warm-up; one_cycle: 0 means 30 % of the run"
    )


class TrainConfig(Section):
    """One stage of training."""

    epochs: int = Field(default=20, ge=1)
    batch_size: int = Field(default=64, ge=1, description="over all processes together")
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    class_weights: Literal["none", "inverse"] = Field(
        default="inverse", description="inverse: n / (k (count + 1))"
    )
    label_smoothing: float = Field(default=0.0, ge=0, lt=1)
    clip_norm: float | None = Field(default=None, gt=0)
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the hardware has it"
    )
    select_by: Literal["val_top1", "last"] = Field(
        default="val_top1", description="which epoch's weights are kept"
    )


ModelParams = TypeVar("ModelParams", bound=Section)


class RunConfig(Section, Generic[ModelParams]):
    """All settings of one training run; `model` holds the variant's own."""

    variant: str
    data: str
    seed: int = Field(default=0, ge=0)
    scheme: Literal["two_stage", "joint"] = Field(
        default="two_stage",
        description="two_stage: first part, then the rest from its encoder; joint: one model, all classes",
    )
    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()
    pictures: PicturesConfig = PicturesConfig()
    model: ModelParams
    train: TrainConfig = TrainConfig()
    stage2: dict[str, Any] = Field(default_factory=dict, description="what differs from `train` in stage two")

    @property
    def second_stage(self) -> TrainConfig:
        """The settings of stage two: `train` with `stage2` laid over it."""
        return TrainConfig.model_validate(merge(self.train.model_dump(), self.stage2))

    @model_validator(mode="before")
    @classmethod
    def _model_has_defaults(cls, values: Any) -> Any:
        return {"model": {}, **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _stage2_fits(self) -> "RunConfig[ModelParams]":
        build_settings(TrainConfig, merge(self.train.model_dump(), self.stage2), prefix="stage2.")
        return self


class BaselineConfig(Section):
    """Settings that every baseline has; a baseline's own come as a subclass."""

    variant: str
    data: str
    seed: int = Field(default=0, ge=0)
    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()


SettingsType = TypeVar("SettingsType", bound=BaseModel)


def load_settings(
    schema: type[SettingsType], file: Path | None, overrides: Sequence[str] = (), **fixed: Any
) -> SettingsType:
    """Read settings from a YAML file, lay `key.path=value` overrides over it, and validate.

    Args:
        schema: the settings class to validate with.
        file: YAML file, or None for the defaults.
        overrides: texts such as `train.epochs=3`; values are YAML.
        fixed: top-level values that neither file nor overrides may change (variant, data).

    Raises:
        SettingsError: unknown key, bad value or unreadable file.
    """
    values = read_yaml(file) if file else {}
    for text in overrides:
        values = merge(values, parse_override(text))
    for key in fixed:
        if key in values and values[key] != fixed[key]:
            raise SettingsError(
                f"{key}={values[key]!r}: set by the command line, not by a setting; remove it"
            )
    return build_settings(schema, {**values, **fixed})


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; SettingsError where it is missing or is none."""
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: cannot be read ({error}); give an existing settings file") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{file}: not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise SettingsError(f"{file}: holds {type(values).__name__}; settings are a mapping of key: value")
    return values


def parse_override(text: str) -> dict[str, Any]:
    """`a.b=1` as {"a": {"b": 1}}."""
    path, separator, value = text.partition("=")
    if not separator or not path or not all(path.split(".")):
        raise SettingsError(f"{text!r}: a setting is written key.path=value, such as train.epochs=3")
    try:
        parsed = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingsError(f"{text!r}: the value is not valid YAML") from error
    for key in reversed(path.split(".")):
        parsed = {key: parsed}
    return parsed


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid over `base`; mappings are merged key by key, all else is replaced."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def build_settings(schema: type[SettingsType], values: Mapping[str, Any], prefix: str = "") -> SettingsType:
    """Validate `values`; the first fault becomes one line with path, value and what is allowed."""
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        raise SettingsError(_first_fault(schema, error, prefix)) from error


def _first_fault(schema: type[BaseModel], error: ValidationError, prefix: str) -> str:
    faults = error.errors(include_url=False)
    # An unknown key says more than the missing one that it was meant to be.
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    path = [str(key) for key in fault["loc"]]
    name = prefix + ".".join(path)
    if fault["type"] == "extra_forbidden":
        allowed = _keys_at(schema, path[:-1])
        return f"unknown setting {name!r}: {did_you_mean(path[-1], allowed)}"
    if fault["type"] == "missing":
        return f"setting {name!r} is missing: give {name}=VALUE"
    message = fault["msg"].removeprefix("Value error, ")
    if not path:
        return message
    hint = ""
    if fault["type"] == "literal_error" and isinstance(fault["input"], str):
        allowed = _literals(schema, path)
        hint = f"; {did_you_mean(fault['input'], allowed)}" if allowed else ""
        message = "not one of the allowed values" if allowed else message
    return f"setting {name}={fault['input']!r}: {message}{hint}"


def _field_type(schema: Any, path: Sequence[str]) -> Any:
    for key in path:
        schema = next((s for s in _unions(schema) if isinstance(s, type) and issubclass(s, BaseModel)), None)
        if schema is None or key not in schema.model_fields:
            return None
        schema = schema.model_fields[key].annotation
    return schema


def _unions(annotation: Any) -> tuple[Any, ...]:
    args = get_args(annotation)
    return args if args and not isinstance(annotation, type) else (annotation,)


def _keys_at(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    found = next((s for s in _unions(_field_type(schema, path)) if hasattr(s, "model_fields")), None)
    return sorted(found.model_fields) if found else []


def _literals(schema: type[BaseModel], path: Sequence[str]) -> list[str]:
    annotation = _field_type(schema, [key for key in path if not key.isdigit()])
    found: list[str] = []
    for option in (annotation, *get_args(annotation)):
        found += [str(value) for value in get_args(option) if isinstance(value, str)]
    return list(dict.fromkeys(found))


def dump_yaml(settings: BaseModel) -> str:
    """The resolved settings as YAML, in the order in which they are declared."""
    return yaml.safe_dump(settings.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
