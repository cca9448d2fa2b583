"""Classify catalog products from their picture and their title, and compare models fairly."""

from importlib.metadata import version

from fusionclf.api import baseline, compare, explain, load, predict_batches, train

__all__ = ["baseline", "compare", "explain", "load", "predict_batches", "train"]
__version__ = version("fusionclf")
