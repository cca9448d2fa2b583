"""The settings of a run: frozen pydantic sections."""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from fusionclf.config.loading import build_settings, merge, plain_values


class Section(BaseModel):
    """A frozen group of settings that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _split_commas(value: Any) -> Any:
    """The text `a,b` means the list [a, b]; nothing and null mean the empty list."""
    if value is None:
        return ()
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _one_column(value: Any) -> Any:
    """`{file}` alone, which YAML takes for a mapping, is the text {file}."""
    if isinstance(value, dict) and len(value) == 1 and list(value.values()) == [None]:
        return f"{{{next(iter(value))}}}"
    return value


StageChanges = Annotated[dict[str, Any], BeforeValidator(plain_values)]
NameList = Annotated[tuple[str, ...], BeforeValidator(_split_commas)]
Grouping = Literal["title", "picture", "near_picture"]


class CatalogConfig(Section):
    """Where a catalog's file keeps what (the defaults are the Kaggle layout)."""

    file: str = Field(default="styles.csv", description="CSV below the catalog's folder")
    id: str = Field(
        default="id", description="column of the product id; a bare file name where `picture` names it"
    )
    picture: Annotated[str, BeforeValidator(_one_column)] = Field(
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
    join_spellings: bool = Field(
        default=False,
        description="give labels and categories that differ in case, blanks or Unicode form alone the most frequent "
        "spelling",
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
        default=None,
        description="column that says train, validation or test (rule column); catalog.metadata need not name it",
    )
    group_by: Annotated[tuple[Grouping, ...], BeforeValidator(_split_commas)] = Field(
        default=(), description="keep products with one title, picture or near_picture on one side"
    )
    near_distance: int = Field(
        default=4, ge=0, le=32, description="bits by which near pictures' 64-bit hashes may differ"
    )
    seed: int = Field(default=0, ge=0)

    @property
    def column_read(self) -> str | None:
        """The column of the catalog's file by which products are divided, if any."""
        return self.column if self.rule == "column" else None

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
    normalisation: Literal["imagenet", "inception"] = Field(
        default="imagenet",
        description="mean and deviation of each channel that the encoder's weights were trained with: imagenet; "
        "inception: 0.5 and 0.5 (Inception, EfficientNet-Lite, many vision transformers)",
    )
    crop_scale: float = Field(
        default=0.5, gt=0, le=1, description="smallest share of the area that a random crop keeps"
    )
    flip: bool = Field(default=True, description="flip half of the training pictures")
    unreadable: Literal["error", "drop"] = Field(
        default="error", description="pictures that cannot be decoded"
    )


class OptimiserConfig(Section):
    name: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = Field(default=1e-3, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1, description="sgd only")
    weight_decay: float = Field(default=0.0, ge=0)
    encoder_factor: float = Field(
        default=1.0, ge=0, description="learning rate of pretrained encoders, as a factor"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="factor of an encoder's learning rate from each layer to the one below",
    )


class ScheduleConfig(Section):
    name: Literal["step", "cosine", "one_cycle", "constant"] = "step"
    step_epochs: float = Field(default=4, gt=0, description="step: epochs between two drops")
    gamma: float = Field(default=0.25, gt=0, le=1, description="step: factor of a drop")
    warmup_epochs: float = Field(
        default=0, ge=0, description="linear warm-up; one_cycle: 0 means 30 % of the run"
    )


class ProgressiveSize(Section):
    """Epochs that see smaller pictures, before those that see them at their full size."""

    epochs: int = Field(ge=1)
    height: int = Field(ge=16, le=4096)
    width: int = Field(ge=16, le=4096)


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
    focal_gamma: float = Field(
        default=0.0, ge=0, description="focal loss: exponent that quiets products already right; 0: off"
    )
    sampler: Literal["shuffled", "balanced", "in_order"] = Field(
        default="shuffled", description="balanced: every class equally often, drawn with replacement"
    )
    oversample_up_to: int = Field(
        default=0,
        ge=0,
        description="repeat small classes, each copy augmented its own way, up to so many rows",
    )
    augment: Literal["none", "trivial", "rand"] = Field(
        default="none", description="after crop and flip: TrivialAugment or RandAugment"
    )
    mixup: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0: off")
    cutmix: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0: off")
    progressive: tuple[ProgressiveSize, ...] = Field(
        default=(),
        description="epochs at smaller pictures first, such as [{epochs: 2, height: 64, width: 48}]",
    )
    freeze_epochs: int = Field(default=0, ge=0, description="first epochs that train no encoder")
    gradient_accumulation_steps: int = Field(
        default=1, ge=1, description="micro-batches that a batch is computed in"
    )
    clip_norm: float | None = Field(default=None, gt=0)
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="decay of an average of the weights, which is scored and kept"
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after so many epochs without a better score"
    )
    compile: bool = Field(default=False, description="torch.compile the encoders")
    cache_features: bool = Field(
        default=True, description="compute a frozen encoder's features once and keep them on disk"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto", description="auto: bf16 where the hardware has it"
    )
    select_by: Literal["val_top1", "last"] = Field(
        default="val_top1", description="which epoch's weights are kept"
    )

    @model_validator(mode="after")
    def _epochs_add_up(self) -> "TrainConfig":
        smaller = sum(size.epochs for size in self.progressive)
        if smaller >= self.epochs:
            raise ValueError(
                f"progressive takes {smaller} of {self.epochs} epochs; leave one at the pictures' full size"
            )
        if self.freeze_epochs >= self.epochs:
            raise ValueError(f"freeze_epochs={self.freeze_epochs}: must be fewer than epochs={self.epochs}")
        if self.patience is not None and self.select_by == "last":
            raise ValueError("patience needs select_by=val_top1: with select_by=last the last epoch counts")
        return self


ModelParams = TypeVar("ModelParams", bound=Section)
FOR_ALL_STAGES = ("precision", "cache_features")
# What stage three does not take over from the stage before: its start must be able to win, and it is short.
THIRD_STAGE = {"augment": "trivial", "select_by": "val_top1", "freeze_epochs": 0, "progressive": ()}
# A pretrained sentence encoder moves little, and its new head much.
TITLE_STAGE = {
    "epochs": 3,
    "optimiser": {"name": "adamw", "learning_rate": 0.05, "encoder_factor": 0.002, "weight_decay": 0.01},
    "schedule": {"name": "one_cycle", "warmup_epochs": 0.3},
    "class_weights": "none",
    "label_smoothing": 0.05,
    "clip_norm": 1.0,
    "select_by": "last",
}


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
    stage2: StageChanges = Field(default_factory=dict, description="what differs from `train` in stage two")
    stage3_classes: int = Field(
        default=0,
        ge=0,
        description="train the last model once more, on so many of its smallest classes; 0: do not",
    )
    stage3: StageChanges = Field(
        default_factory=dict,
        description="what differs from the stage before in stage three; augment=trivial if unsaid",
    )
    title_stage: StageChanges = Field(
        default_factory=dict, description="how a title network is trained (fusion with model.title_network)"
    )

    @property
    def title_network_stage(self) -> TrainConfig:
        """The settings of a title network's training: its own defaults with `title_stage` laid over them."""
        shared = {name: getattr(self.train, name) for name in FOR_ALL_STAGES}
        return TrainConfig.model_validate(merge(TITLE_STAGE, self.title_stage) | shared)

    @property
    def second_stage(self) -> TrainConfig:
        """The settings of stage two: `train` with `stage2` laid over it."""
        return TrainConfig.model_validate(merge(self.train.model_dump(), self.stage2))

    @property
    def third_stage(self) -> TrainConfig:
        """The settings of stage three: those of the stage before with `stage3` laid over them."""
        before = self.train if self.scheme == "joint" else self.second_stage
        return TrainConfig.model_validate(merge(before.model_dump(), {**THIRD_STAGE, **self.stage3}))

    @model_validator(mode="before")
    @classmethod
    def _model_has_defaults(cls, values: Any) -> Any:
        return {"model": {}, **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _stage2_fits(self) -> "RunConfig[ModelParams]":
        build_settings(TrainConfig, merge(self.train.model_dump(), self.stage2), prefix="stage2.")
        before = self.train if self.scheme == "joint" else self.second_stage
        build_settings(
            TrainConfig, merge(before.model_dump(), {**THIRD_STAGE, **self.stage3}), prefix="stage3."
        )
        build_settings(TrainConfig, merge(TITLE_STAGE, self.title_stage), prefix="title_stage.")
        changed = (("stage2", self.stage2), ("stage3", self.stage3), ("title_stage", self.title_stage))
        for section, changes in changed:
            for name in FOR_ALL_STAGES:
                if name in changes:
                    raise ValueError(f"{section}.{name}: is one for all stages; set train.{name}")
        return self


class BaselineConfig(Section):
    """Settings that every baseline has; a baseline's own come as a subclass."""

    variant: str
    data: str
    seed: int = Field(default=0, ge=0)
    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()
