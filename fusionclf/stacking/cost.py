"""The cost of the stages of a run."""

from dataclasses import dataclass, field
from typing import Any

from fusionclf.training import StageState


@dataclass
class StageCost:
    """The cost of the stages of a run.

    Attributes:
        states: of all trained stages.
        trained, predicted: products.
        fit_seconds: of what is fitted after the base models.
        predict_seconds: of the test rows.
        parameters: of the largest model.
    """

    states: list[StageState] = field(default_factory=list)
    trained: int = 0
    fit_seconds: float = 0.0
    predicted: int = 0
    predict_seconds: float = 0.0
    parameters: int = 0

    def summary(self, seconds_per_product: float, reads_pictures: bool) -> dict[str, Any]:
        """The entries of environment.json about cost.

        Args:
            seconds_per_product: of features and titles that are ready before a model is trained or predicts.
            reads_pictures: whether the models read pictures.
        """
        epochs = sum(state.seconds for state in self.states)
        shown = sum(row["pictures_per_second"] * row["seconds"] for state in self.states for row in state.log)
        predicting = self.predict_seconds + self.predicted * seconds_per_product
        return {
            "train_seconds": self.trained * seconds_per_product + epochs + self.fit_seconds,
            "predict_seconds": predicting,
            "products_per_second": self.predicted / max(predicting, 1e-9),
            "pictures_per_second": shown / max(epochs, 1e-9) if reads_pictures else None,
            "parameters": self.parameters,
        }
