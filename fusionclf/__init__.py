"""Classify catalog products from their picture and their title, and compare models fairly."""

from importlib.metadata import version

from fusionclf.api import baseline, compare, describe, explain, load, train
from fusionclf.batch_api import predict_batches

__all__ = ["baseline", "compare", "describe", "explain", "load", "predict_batches", "train"]
__version__ = version("fusionclf")
