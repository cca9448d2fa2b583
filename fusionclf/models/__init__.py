"""Modules (encoders, fusers, heads) and variants. Importing this package registers every variant in it."""

from importlib import import_module

from fusionclf.models.classifier import ProductClassifier, count_parameters
from fusionclf.models.encoders import pretrained_encoders
from fusionclf.models.registry import Variant, find_variant, register, variant_names

import_module("fusionclf.models.variants")

__all__ = [
    "ProductClassifier",
    "Variant",
    "count_parameters",
    "find_variant",
    "pretrained_encoders",
    "register",
    "variant_names",
]
