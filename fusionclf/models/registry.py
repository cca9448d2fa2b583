"""Variants by name.

A variant is one file in fusionclf/models/variants: settings, modules, and a registered Variant. Errors, the model card
and the contract tests read the registry, and the help of `fusionclf train` lists the files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fusionclf.catalog.fields import Fields
from fusionclf.config import Section
from fusionclf.errors import SettingsError, did_you_mean
from fusionclf.models.classifier import ProductClassifier
from fusionclf.models.stacked_classifier import StackedClassifier

Modality = Literal["picture", "title"]
Model = ProductClassifier | StackedClassifier
Builder = Callable[..., Model]


@dataclass(frozen=True)
class Variant:
    """One kind of model.

    Attributes:
        name: what `fusionclf train NAME` takes.
        params: the settings below `model`.
        build: (params, number of classes of each task) → model. The task `label` is the one that is scored. With
            `reads_fields`, a third argument names the further fields, `Fields`.
        modalities: the inputs of the model.
        hub_task: the Hugging Face hub's `pipeline_tag`; None where none fits.
        summary: one line for listings.
        reads_fields: whether the model reads further texts and attributes, besides the title.
    """

    name: str
    params: type[Section]
    build: Builder
    modalities: tuple[Modality, ...]
    hub_task: str | None
    summary: str
    reads_fields: bool = False

    def model(self, params: Any, classes: dict[str, int], fields: Fields = Fields()) -> Model:  # noqa: B008  frozen
        """A model with its first weights.

        Args:
            params: its settings.
            classes: number of classes of each task.
            fields: names of further texts and attributes; a model that reads none ignores them.
        """
        return self.build(params, classes, fields) if self.reads_fields else self.build(params, classes)


_VARIANTS: dict[str, Variant] = {}


def register(variant: Variant) -> Variant:
    """Add a variant to the registry.

    Raises:
        ValueError: another variant has this name.
    """
    if _VARIANTS.setdefault(variant.name, variant) is not variant:
        raise ValueError(f"a variant {variant.name!r} is registered already")
    return variant


def variant_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_VARIANTS)


def find_variant(name: str) -> Variant:
    """Raises SettingsError, with the near match, where there is no such variant."""
    if name not in _VARIANTS:
        raise SettingsError(f"unknown variant {name!r}: {did_you_mean(name, variant_names())}")
    return _VARIANTS[name]
