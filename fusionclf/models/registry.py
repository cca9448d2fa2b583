"""Variants by name. A variant is one file: a params class, modules, and a builder registered here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fusionclf.config import Section
from fusionclf.errors import SettingsError, did_you_mean
from fusionclf.models.classifier import ProductClassifier

Builder = Callable[[Any, dict[str, int]], ProductClassifier]


@dataclass(frozen=True)
class Variant:
    """One kind of model.

    Attributes:
        name: what `fusionclf train NAME` takes.
        params: the settings below `model`.
        build: (params, number of classes per task) → model.
        summary: one line for listings.
    """

    name: str
    params: type[Section]
    build: Builder
    summary: str


_VARIANTS: dict[str, Variant] = {}


def register(name: str, params: type[Section], summary: str) -> Callable[[Builder], Builder]:
    """Add the decorated builder to the registry."""

    def add(build: Builder) -> Builder:
        _VARIANTS[name] = Variant(name, params, build, summary)
        return build

    return add


def variant_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_VARIANTS)


def find_variant(name: str) -> Variant:
    """Raises SettingsError, with the near match, where there is no such variant."""
    if name not in _VARIANTS:
        raise SettingsError(f"unknown variant {name!r}: {did_you_mean(name, variant_names())}")
    return _VARIANTS[name]
