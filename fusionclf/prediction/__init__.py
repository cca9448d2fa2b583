"""A finished run → predictions for products that it has not seen."""

from fusionclf.prediction.answers import Answers, Rule, decide
from fusionclf.prediction.io.products import Products
from fusionclf.prediction.loading import load
from fusionclf.prediction.predictor import Predictor

__all__ = ["Answers", "Predictor", "Products", "Rule", "decide", "load"]
