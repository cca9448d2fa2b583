"""Variants by name.

A variant is one file in fusionclf/models/variants: settings, modules, and a registered Variant. Errors, the model card
and the contract tests read the registry, and the help of `fusionclf train` lists the files.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from fusionclf.config import Section
from fusionclf.errors import SettingsError, did_you_mean
from fusionclf.models.classifier import ProductClassifier
from fusionclf.models.stacked_classifier import StackedClassifier

Modality = Literal["picture", "title"]
Model = ProductClassifier | StackedClassifier
Builder = Callable[[Any, dict[str, int]], Model]


@dataclass(frozen=True)
class Variant:
    """One kind of model.

    Attributes:
        name: what `fusionclf train NAME` takes.
        params: the settings below `model`.
        build: (params, number of classes of each task) → model. The task `label` is the one that is scored.
        modalities: what the model reads of a product.
        hub_task: the Hugging Face hub's `pipeline_tag`; None where none fits.
        summary: one line for listings.
    """

    name: str
    params: type[Section]
    build: Builder
    modalities: tuple[Modality, ...]
    hub_task: str | None
    summary: str


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
