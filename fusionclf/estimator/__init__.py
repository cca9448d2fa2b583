"""FusionClassifier: scikit-learn's interface to training and prediction, on a pandas table."""

from fusionclf.estimator.classifier import FusionClassifier

__all__ = ["FusionClassifier"]
