"""Classify catalog products from their pictures, texts and attributes, and compare models fairly."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from fusionclf.api import baseline, compare, describe, explain, load, train
from fusionclf.batch_api import predict_batches

if TYPE_CHECKING:
    from fusionclf.estimator import FusionClassifier

__all__ = [
    "FusionClassifier",
    "baseline",
    "compare",
    "describe",
    "explain",
    "load",
    "predict_batches",
    "train",
]
__version__ = version("fusionclf")


def __getattr__(name: str) -> Any:
    """FusionClassifier, imported at its first use, because scikit-learn takes long to import."""
    if name != "FusionClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fusionclf.estimator import FusionClassifier

    return FusionClassifier
