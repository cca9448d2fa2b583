"""Classify catalog products from their picture and their title, and compare models fairly."""

from importlib.metadata import version

__version__ = version("fusionclf")
