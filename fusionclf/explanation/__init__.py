"""How much each part of a product's picture and title contributed to a prediction."""

from fusionclf.explanation.attribution import Explanation, explain

__all__ = ["Explanation", "explain"]
