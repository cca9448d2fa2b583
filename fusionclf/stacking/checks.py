"""Checks that refuse settings and catalogs that a training run cannot use, before any picture is read."""

from typing import Any

import numpy as np

from fusionclf.catalog import Catalog, Split, read_synonyms
from fusionclf.catalog.fields import Fields
from fusionclf.catalog.label_paths import LEVEL
from fusionclf.config import RunConfig, TrainConfig
from fusionclf.config.shipped import find_synonyms
from fusionclf.console import Console
from fusionclf.errors import CatalogError, SettingsError, did_you_mean, quoted
from fusionclf.models import Model, ProductClassifier, StackedClassifier, Variant, base_model
from fusionclf.models.aligned_encoders import AlignedImageEncoder
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.models.variants.fusion import LATE, LEAST_CLASSES, FusionParams
from fusionclf.stacking.drafted_synonyms import AUTO, DRAFTED
from fusionclf.stacking.stages import Stage, trained_classes
from fusionclf.training import check_batch_size


def auxiliary_columns(settings: RunConfig[Any]) -> tuple[str, ...]:
    """The further columns that a run predicts."""
    return tuple(getattr(settings.model, "auxiliary", {}))


def columns_to_read(settings: RunConfig[Any]) -> tuple[str, ...]:
    """The further columns that are read from the catalog's table; steps of a label's path are derived from it."""
    made = settings.catalog.label_separator is not None
    return tuple(name for name in auxiliary_columns(settings) if not (made and name.startswith(LEVEL)))


def auxiliary_classes(settings: RunConfig[Any], catalog: Catalog) -> dict[str, tuple[str, ...]]:
    """Auxiliary column → its values in the whole catalog, sorted, without empty cells.

    Raises:
        CatalogError: a column has fewer than two values.
    """
    found = {}
    for column in auxiliary_columns(settings):
        found[column] = tuple(sorted(set(column_cells(catalog, column)) - {""}))
        if len(found[column]) < 2:
            raise CatalogError(
                f"model.auxiliary: column {quoted(column)} has fewer than two values; leave it out, or name a column "
                "with two or more"
            )
    return found


def column_cells(catalog: Catalog, column: str) -> list[str]:
    """The cells of a column as texts, without blanks around them; "" where one is empty."""
    return catalog.table[column].astype("str").fillna("").str.strip().tolist()


def for_several_labels(settings: RunConfig[Any], console: Console) -> RunConfig[Any]:
    """The settings of a run on products with several labels: one stage, no class weights, only the closed network.

    Args:
        settings: of the run.
        console: where changes are printed.

    Raises:
        SettingsError: a setting needs one label per product.
    """
    if not settings.catalog.label_list:
        return settings
    params, train = settings.model, settings.train
    late = isinstance(params, FusionParams) and params.fuser == LATE
    by_name = isinstance(params, FusionParams) and params.vocabulary in ("open", "named")
    auxiliary = auxiliary_columns(settings)
    refused = [  # whether it is set, what is set, and the remedy
        (bool(auxiliary), f"model.auxiliary={', '.join(auxiliary)}", "leave it out"),
        (settings.stage3_classes > 0, f"stage3_classes={settings.stage3_classes}", "leave it out"),
        (train.sampler == "balanced", "train.sampler=balanced", "set train.sampler=shuffled"),
        (train.oversample_up_to > 0, f"train.oversample_up_to={train.oversample_up_to}", "leave it out"),
        (by_name, f"model.vocabulary={getattr(params, 'vocabulary', '')}", "set model.vocabulary=closed"),
        (late, "model.fuser=late", "set model.fuser=concat"),
    ]
    for is_set, setting, remedy in refused:
        if is_set:
            raise SettingsError(
                f"{setting}: needs one label per product, and catalog.label_list={settings.catalog.label_list!r} has "
                f"several; {remedy}"
            )
    if isinstance(params, FusionParams):
        params = params.model_copy(update={"vocabulary": "closed", "wide": False})
        console.info(
            "several labels per product: fusion is only the network, without linear text model and class names "
            "(model.vocabulary=closed model.wide=false)"
        )
    if train.class_weights != "none":
        train = train.model_copy(update={"class_weights": "none"})
        console.info(
            "several labels per product: all labels have the same weight in the loss (train.class_weights=none)"
        )
    return settings.model_copy(update={"scheme": "single_stage", "model": params, "train": train})


def check_names(settings: RunConfig[Any]) -> None:
    """Refuse names that cannot be used, before the catalog is read.

    Raises:
        SettingsError: an auxiliary column is called `label`, or the synonyms cannot be read.
    """
    if "label" in auxiliary_columns(settings):
        raise SettingsError(
            "model.auxiliary: 'label' is fusionclf's name of the class itself; leave it out, or rename the column"
        )
    synonyms = getattr(settings.model, "synonyms", None)
    if synonyms and synonyms not in (AUTO, DRAFTED):
        read_synonyms(find_synonyms(synonyms))


def check_model(variant: Variant, settings: RunConfig[Any], catalog: Catalog) -> None:
    """Build a model of all classes of the catalog, before it is split, and refuse settings that it does not support.

    Raises:
        CatalogError: as of `auxiliary_classes`, or an auxiliary column is not a step of the label's path.
        SettingsError, WeightsError: the model cannot be built, or cannot be trained in this way.
    """
    params = settings.model
    if isinstance(params, FusionParams) and params.vocabulary == "auto":
        params = params.model_copy(update={"vocabulary": "named" if params.uses_names else "closed"})
    for column in auxiliary_columns(settings):
        if column not in catalog.table:
            near = did_you_mean(column, catalog.columns.categories)
            raise CatalogError(f"model.auxiliary: no column {column!r}; {near}")
    auxiliary = auxiliary_classes(settings, catalog)
    classes = {"label": len(catalog.classes), **{column: len(names) for column, names in auxiliary.items()}}
    check_stages(settings, variant.model(params, classes, Fields.of(settings.catalog)))


def check_stages(settings: RunConfig[Any], model: Model) -> None:
    """Refuse stages that the model does not support.

    Raises:
        SettingsError: pictures are mixed or augmented, but the model reads no pictures or only cached features.
    """
    base = base_model(model)
    if isinstance(base.image, AlignedImageEncoder):
        _check_size(base.image, settings)
    _check_stage(base, "train", settings.train)
    _check_stage(base, "stage2", settings.second_stage)
    if settings.stage3_classes and (base.image is None or base.image.frozen):
        third = settings.third_stage.model_copy(update={"augment": settings.stage3.get("augment", "none")})
        _check_stage(base, "stage3", third)
    elif settings.stage3_classes:
        _check_stage(base, "stage3", settings.third_stage)


def _check_size(image: AlignedImageEncoder, settings: RunConfig[Any]) -> None:
    for name in ("height", "width"):
        given = getattr(settings.pictures, name)
        if given not in (None, image.side):
            size = f"{image.side} x {image.side}"
            raise SettingsError(
                f"pictures.{name}={given}: {settings.model.image.backbone} reads pictures of {size}; leave "
                f"pictures.{name} out"
            )


def _check_stage(base: ProductClassifier, section: str, train: TrainConfig) -> None:
    mixes = [name for name in ("mixup", "cutmix") if getattr(train, name)]
    changes = mixes + (["augment"] if train.augment != "none" else [])
    changes += ["progressive"] if train.progressive else []
    if changes and base.image is None:
        raise SettingsError(f"{section}.{changes[0]}: this model reads no pictures; remove it")
    if train.progressive and isinstance(base.image, AlignedImageEncoder):
        raise SettingsError(
            f"{section}.progressive: this picture encoder reads pictures of one size; remove it"
        )
    if changes and base.image is not None and base.image.frozen:
        raise SettingsError(
            f"{section}.{changes[0]}: features of a frozen encoder are computed once, without augmentation; remove "
            "it, or set model.image.frozen=false"
        )
    if mixes and base.text is not None:
        raise SettingsError(
            f"{section}.{mixes[0]}: titles cannot be mixed; remove it, or use a model whose network reads "
            "only pictures (image, multitask, fusion with model.fuser=late)"
        )


def check_classes(catalog: Catalog, split: Split, stage: Stage, model: Model) -> None:
    """Refuse a stage that has too few classes for a stacked head.

    Raises:
        SettingsError: it has too few classes with train rows.
    """
    if not isinstance(model, StackedClassifier) or not isinstance(model.head, StackedHead):
        return
    vocabulary = "open" if model.head.allows_unseen else "named"
    count = trained_classes(catalog, split, stage)
    if count < LEAST_CLASSES[vocabulary]:
        raise SettingsError(
            f"{stage.part}: {count} {'class has' if count == 1 else 'classes have'} train rows, and "
            f"model.vocabulary={vocabulary} needs {LEAST_CLASSES[vocabulary]} or more; set "
            "model.vocabulary=closed, or split.top_k for other parts"
        )


def check_validation_rows(split: Split, stage: Stage, rows: np.ndarray) -> None:
    """Refuse a stage without validation rows.

    Raises:
        CatalogError: there are none.
    """
    if len(rows):
        return
    remedy = "set split.rule or split.group_by otherwise"
    if stage.split_part is not None:
        remedy = "set scheme=single_stage, or split.top_k for other parts"
    raise CatalogError(
        f"split.rule={split.spec.rule}: part {stage.part!r} has no validation row that can be used; {remedy}"
    )


def check_third_stage(settings: RunConfig[Any], rows: int, processes: int) -> None:
    """Refuse a stage on the smallest classes that has too few train rows.

    Args:
        settings: of the run.
        rows: train rows of these classes that the base model can learn from.
        processes: that share a batch.

    Raises:
        SettingsError: a batch cannot be shared by all processes.
    """
    try:
        check_batch_size(settings.third_stage.batch_size, rows, processes)
    except SettingsError as error:
        count = settings.stage3_classes
        raise SettingsError(f"stage3_classes={count}: {error}, or a larger stage3_classes") from error
