"""How much each part of a product's picture and title contributed to a prediction."""

from fusionclf.explanation.attribution import Explanation
from fusionclf.explanation.occlusion import explain

__all__ = ["Explanation", "explain"]
