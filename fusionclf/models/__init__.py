"""Modules (encoders, fusers, heads) and variants. Importing this package registers every variant in it."""

from importlib import import_module
from pkgutil import iter_modules

from fusionclf.models.encoders import pretrained_encoders
from fusionclf.models.product import ProductClassifier, count_parameters
from fusionclf.models.registry import Variant, find_variant, register, variant_names

for _module in iter_modules(__path__, prefix=f"{__name__}."):
    import_module(_module.name)

__all__ = [
    "ProductClassifier",
    "Variant",
    "count_parameters",
    "find_variant",
    "pretrained_encoders",
    "register",
    "variant_names",
]
