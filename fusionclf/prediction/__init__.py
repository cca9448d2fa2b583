"""A finished run → predictions for products that it has not seen."""

from fusionclf.prediction.answers import Answers, DecisionRule
from fusionclf.prediction.io.products import Products
from fusionclf.prediction.loading import RunModel, load
from fusionclf.prediction.predictor import Predictor

__all__ = ["Answers", "DecisionRule", "Predictor", "Products", "RunModel", "load"]
