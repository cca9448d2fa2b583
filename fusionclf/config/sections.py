"""The settings of a run: how a model or a baseline is trained."""

import warnings
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from fusionclf.config.data_sections import CatalogConfig, PictureSettings, Section, SplitConfig
from fusionclf.config.loading import build_settings, merge, plain_values

StageChanges = Annotated[dict[str, Any], BeforeValidator(plain_values)]


class OptimiserConfig(Section):
    name: Literal["sgd", "adam", "adamw"] = Field(default="sgd", description="optimiser")
    learning_rate: float = Field(default=1e-3, gt=0, description="learning rate of heads and fusers")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="sgd only")
    weight_decay: float = Field(
        default=0.0, ge=0, description="decoupled for adamw; none on biases, norms and embeddings"
    )
    encoder_factor: float = Field(
        default=1.0, ge=0, description="factor of the learning rate of pretrained encoders"
    )
    layer_decay: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="factor of the learning rate from each layer of an encoder to the one below",
    )


class ScheduleConfig(Section):
    name: Literal["step", "cosine", "one_cycle", "constant"] = Field(
        default="step", description="shape of the learning rate over the run"
    )
    step_epochs: float = Field(default=4, gt=0, description="step: epochs between two drops")
    gamma: float = Field(default=0.25, gt=0, le=1, description="step: factor of a drop")
    warmup_epochs: float = Field(
        default=0, ge=0, description="linear warm-up; one_cycle: 0 means 30 % of the run"
    )


class ProgressiveSize(Section):
    """First epochs, with smaller pictures."""

    epochs: int = Field(ge=1)
    height: int = Field(ge=16, le=4096)
    width: int = Field(ge=16, le=4096)


class TrainConfig(Section):
    """One stage of training."""

    epochs: int = Field(default=20, ge=1, description="passes over the train rows")
    batch_size: int = Field(default=64, ge=1, description="products per batch, over all processes together")
    optimiser: OptimiserConfig = OptimiserConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    class_weights: Literal["none", "inverse"] = Field(
        default="inverse", description="weight of each class in the loss; inverse: n / (k (count + 1))"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="share of the target that is spread over all classes"
    )
    focal_gamma: float = Field(
        default=0.0,
        ge=0,
        description="exponent of the focal loss, which reduces the weight of products that are already right; 0: off",
    )
    sampler: Literal["shuffled", "balanced", "in_order"] = Field(
        default="shuffled", description="balanced: every class equally often, drawn with replacement"
    )
    oversample_up_to: int = Field(
        default=0,
        ge=0,
        description="repeat rows of small classes up to this number, each copy augmented differently",
    )
    augment: Literal["none", "trivial", "rand"] = Field(
        default="none", description="after crop and flip: TrivialAugment or RandAugment"
    )
    mixup: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0: off")
    cutmix: float = Field(default=0.0, ge=0, description="alpha of the Beta distribution; 0: off")
    progressive: tuple[ProgressiveSize, ...] = Field(
        default=(),
        description="first epochs with smaller pictures, such as [{epochs: 2, height: 64, width: 48}]",
    )
    freeze_epochs: int = Field(
        default=0, ge=0, description="number of first epochs in which no encoder is trained"
    )
    gradient_accumulation_steps: int = Field(default=1, ge=1, description="number of micro-batches per batch")
    clip_norm: float | None = Field(
        default=None, gt=0, description="largest norm of the gradient; null: no limit"
    )
    ema_decay: float | None = Field(
        default=None, gt=0, lt=1, description="decay of an average of the weights, which is scored and saved"
    )
    patience: int | None = Field(
        default=None, ge=1, description="stop after this number of epochs without a better score"
    )
    compile: bool = Field(default=False, description="torch.compile the encoders")
    cache_features: bool = Field(
        default=True, description="compute a frozen encoder's features once and store them on disk"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        default="auto",
        description="auto: bf16 where the hardware is fast at it (GPUs, CPUs with AMX), otherwise fp32",
    )
    engine: Literal["auto", "torch", "onnx"] = Field(
        default="auto",
        description="what runs encoders that are not trained; auto: ONNX Runtime on a CPU if it is faster, else torch",
    )
    select_by: Literal["val_top1", "last"] = Field(
        default="val_top1", description="which epoch's weights are saved"
    )
    keep_checkpoints: bool = Field(
        default=False, description="keep `checkpoints/` of a finished run; resuming needs them no longer"
    )

    @model_validator(mode="after")
    def _epochs_add_up(self) -> "TrainConfig":
        smaller = sum(size.epochs for size in self.progressive)
        if smaller >= self.epochs:
            raise ValueError(
                f"progressive takes {smaller} of {self.epochs} epochs; leave one for pictures of full size"
            )
        if self.freeze_epochs >= self.epochs:
            raise ValueError(f"freeze_epochs={self.freeze_epochs}: must be fewer than epochs={self.epochs}")
        if self.patience is not None and self.select_by == "last":
            raise ValueError("patience needs select_by=val_top1: with select_by=last the last epoch counts")
        return self


ModelParams = TypeVar("ModelParams", bound=Section)
FOR_ALL_STAGES = ("precision", "cache_features", "engine", "keep_checkpoints")
# Defaults of stage three in place of the values of the stage before, as it is short and its start may be best.
THIRD_STAGE = {"augment": "trivial", "select_by": "val_top1", "freeze_epochs": 0, "progressive": ()}


def current_scheme(value: Any) -> Any:
    """The scheme's present name: `single_stage` was `joint` up to version 0.1."""
    return "single_stage" if value == "joint" else value


def _checked_scheme(value: Any) -> Any:
    if value == "joint":
        message = "scheme=joint is renamed; use scheme=single_stage (joint goes with version 0.2)"
        warnings.warn(message, FutureWarning, stacklevel=2)
    return current_scheme(value)


class RunConfig(Section, Generic[ModelParams]):
    """All settings of one training run; `model` holds the variant's own."""

    variant: str = Field(description="name of the variant or baseline; the command sets it")
    data: str = Field(description="the catalog's folder; the command sets it")
    seed: int = Field(default=0, ge=0, description="seed of initial weights, order of rows and augmentation")
    scheme: Annotated[Literal["two_stage", "single_stage"], BeforeValidator(_checked_scheme)] = Field(
        default="two_stage",
        description="two_stage: a model of the frequent classes, then one of the rest that starts from its encoder; "
        "single_stage: one model of all classes",
    )
    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()
    pictures: PictureSettings = PictureSettings()
    model: ModelParams
    train: TrainConfig = TrainConfig()
    stage2: StageChanges = Field(
        default_factory=dict, description="settings of stage two that differ from `train`"
    )
    stage3_classes: int = Field(
        default=0,
        ge=0,
        description="train the last model further, on this number of its smallest classes; 0: off",
    )
    stage3: StageChanges = Field(
        default_factory=dict,
        description="settings of stage three that differ from the stage before; augment=trivial by default",
    )

    @property
    def second_stage(self) -> TrainConfig:
        """The settings of stage two: `train` with `stage2` merged into it."""
        return TrainConfig.model_validate(merge(self.train.model_dump(), self.stage2))

    @property
    def third_stage(self) -> TrainConfig:
        """The settings of stage three: those of the stage before with `stage3` merged into them."""
        before = self.train if self.scheme == "single_stage" else self.second_stage
        return TrainConfig.model_validate(merge(before.model_dump(), {**THIRD_STAGE, **self.stage3}))

    @model_validator(mode="before")
    @classmethod
    def _model_has_defaults(cls, values: Any) -> Any:
        return {"model": {}, **values} if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _stage2_fits(self) -> "RunConfig[ModelParams]":
        build_settings(TrainConfig, merge(self.train.model_dump(), self.stage2), prefix="stage2.")
        before = self.train if self.scheme == "single_stage" else self.second_stage
        build_settings(
            TrainConfig, merge(before.model_dump(), {**THIRD_STAGE, **self.stage3}), prefix="stage3."
        )
        changed = (("stage2", self.stage2), ("stage3", self.stage3))
        for section, changes in changed:
            for name in FOR_ALL_STAGES:
                if name in changes:
                    raise ValueError(f"{section}.{name}: is the same for all stages; set train.{name}")
        return self


class ImportedFile(Section):
    """Where the predictions of an imported run come from."""

    file: str = Field(description="name of the file")
    sha256: str = Field(description="its hash")
    kind: Literal["labels", "best", "all"] = Field(
        description="what it holds: labels, probabilities of the best classes, or of all"
    )
    rows: int = Field(ge=0, description="products in the file")
    others: Literal["refuse", "ignore", "held-out"] = Field(
        default="refuse", description="what was done with products that are not test products"
    )


class BaselineConfig(Section):
    """Settings that every baseline has; a subclass adds its own."""

    variant: str = Field(description="name of the variant or baseline; the command sets it")
    data: str = Field(description="the catalog's folder; the command sets it")
    seed: int = Field(default=0, ge=0, description="seed of initial weights, order of rows and augmentation")
    catalog: CatalogConfig = CatalogConfig()
    split: SplitConfig = SplitConfig()


class ImportConfig(BaselineConfig):
    """Settings of a run that holds another program's predictions."""

    imported: ImportedFile = Field(description="where they come from")
