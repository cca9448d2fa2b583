"""Modules (encoders, fusers, heads) and variants. Importing this package registers every variant in it."""

from importlib import import_module

from fusionclf.models.classifier import ProductClassifier, count_parameters
from fusionclf.models.encoders import pretrained_encoders
from fusionclf.models.fusers import Fuser, find_fuser, fuser_names, register_fuser
from fusionclf.models.registry import Model, Variant, find_variant, register, variant_names
from fusionclf.models.stacked_classifier import StackedClassifier, base_model

import_module("fusionclf.models.variants")

__all__ = [
    "Fuser",
    "Model",
    "ProductClassifier",
    "StackedClassifier",
    "Variant",
    "base_model",
    "count_parameters",
    "find_fuser",
    "find_variant",
    "fuser_names",
    "pretrained_encoders",
    "register",
    "register_fuser",
    "variant_names",
]
