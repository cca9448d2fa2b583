"""What the settings of a training run show before any picture is read: names and values that cannot work."""

from typing import Any

from fusionclf.catalog import Catalog, read_synonyms
from fusionclf.config import RunConfig, TrainConfig
from fusionclf.config.shipped import find_synonyms
from fusionclf.errors import CatalogError, SettingsError, did_you_mean
from fusionclf.models import ProductClassifier, Variant
from fusionclf.models.variants.fusion import FusionParams


def check_names(settings: RunConfig[Any]) -> None:
    """Refuse columns and files that are not there.

    Raises:
        CatalogError: an auxiliary column is not kept.
        SettingsError: the synonyms cannot be read.
    """
    known = (*settings.catalog.categories, *settings.catalog.metadata)
    for column in getattr(settings.model, "auxiliary", {}):
        if column not in known:
            raise CatalogError(f"model.auxiliary: no column {column!r}; {did_you_mean(column, known)}")
    if synonyms := getattr(settings.model, "synonyms", None):
        read_synonyms(find_synonyms(synonyms))


def check_model(variant: Variant, settings: RunConfig[Any], catalog: Catalog) -> None:
    """Build a model of all classes and refuse what it cannot follow, where no split says which classes it has.

    Raises:
        SettingsError, WeightsError: the model cannot be built, or cannot be trained in this way.
    """
    params = settings.model
    if isinstance(params, FusionParams) and params.vocabulary == "auto":
        params = params.model_copy(update={"vocabulary": "named" if params.reads_names else "closed"})
    columns = {"label": "label", **{name: name for name in getattr(params, "auxiliary", {})}}
    classes = {task: len(set(catalog.table[column])) for task, column in columns.items()}
    check_stages(settings, variant.build(params, classes))


def check_stages(settings: RunConfig[Any], model: ProductClassifier) -> None:
    """Refuse stages that the model cannot follow.

    Raises:
        SettingsError: pictures are to be mixed or augmented that are not read as pictures.
    """
    _check_stage(model, "train", settings.train)
    _check_stage(model, "stage2", settings.second_stage)
    if settings.stage3_classes and (model.image is None or model.image.frozen):
        third = settings.third_stage.model_copy(update={"augment": settings.stage3.get("augment", "none")})
        _check_stage(model, "stage3", third)
    elif settings.stage3_classes:
        _check_stage(model, "stage3", settings.third_stage)


def _check_stage(model: ProductClassifier, section: str, train: TrainConfig) -> None:
    mixes = [name for name in ("mixup", "cutmix") if getattr(train, name)]
    changes = mixes + (["augment"] if train.augment != "none" else [])
    changes += ["progressive"] if train.progressive else []
    if changes and model.image is None:
        raise SettingsError(f"{section}.{changes[0]}: this model reads no pictures; remove it")
    if changes and model.image is not None and model.image.frozen:
        raise SettingsError(
            f"{section}.{changes[0]}: a frozen encoder sees each picture once, as it is; remove it, or set "
            "model.image.frozen=false"
        )
    if mixes and model.text is not None:
        raise SettingsError(
            f"{section}.{mixes[0]}: titles cannot be mixed; remove it, or use a model whose network reads "
            "pictures alone (image, multitask, fusion with model.fuser=late)"
        )
