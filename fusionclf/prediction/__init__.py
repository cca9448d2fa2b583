"""A finished run → answers about products that it has not seen."""

from fusionclf.prediction.answers import Answers, Rule, decide
from fusionclf.prediction.explain import Explanation
from fusionclf.prediction.exported import open_exported
from fusionclf.prediction.loading import load
from fusionclf.prediction.predictor import Predictor
from fusionclf.prediction.reading import Products

__all__ = ["Answers", "Explanation", "Predictor", "Products", "Rule", "decide", "load", "open_exported"]
