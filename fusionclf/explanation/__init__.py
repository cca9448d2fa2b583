"""Which parts of a product's picture and title carried a prediction."""

from fusionclf.explanation.attribution import Explanation, explain

__all__ = ["Explanation", "explain"]
