"""A baseline that a run folder keeps: loaded through skops, asked for titles it has not seen."""

from collections.abc import Sequence
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from sklearn.dummy import DummyClassifier

from baselines.titles import over_candidates
from fusionclf.errors import RunError
from fusionclf.evaluation import softmax
from fusionclf.runfolder import read_json


class KeptTitleModel:
    """A fitted title model.

    Args:
        folder: the run's model folder.
        part: of the split, or `joint`.

    Attributes:
        classes: the candidates, in the order of the probabilities.
        reads_titles: whether it looks at the titles at all.

    Raises:
        RunError: a file is missing or damaged, or holds more than scikit-learn's and NumPy's own types.
    """

    def __init__(self, folder: Path, part: str) -> None:
        # Imported here, as it takes seconds, and most runs are networks.
        import skops.io
        from skops.io.exceptions import UntrustedTypesFoundException

        labels = read_json(folder / "labels.json")[part]
        self.classes: tuple[str, ...] = tuple(labels["candidates"])
        self.temperature = float(labels["temperature"])
        file = folder / f"{part}.skops"
        try:
            self.estimator = skops.io.load(file, trusted=[])
        except UntrustedTypesFoundException as error:
            raise RunError(f"{file}: holds types that no baseline has ({error}); train it again") from error
        except (OSError, BadZipFile, KeyError, ValueError, TypeError) as error:
            raise RunError(f"{file}: cannot be used ({error}); train again with --overwrite") from error
        self.reads_titles = not isinstance(self.estimator, DummyClassifier)

    def probabilities(self, titles: Sequence[str]) -> np.ndarray:
        """(n, K) probabilities of the candidates; a class without a training row has 0."""
        if hasattr(self.estimator, "predict_proba"):
            known = self.estimator.predict_proba(titles)
        else:
            scores = self.estimator.decision_function(titles)
            if scores.ndim == 1:  # of two classes scikit-learn gives one column
                scores = np.stack([-scores, scores], axis=1)
            known = softmax(scores / self.temperature)
        return over_candidates(self.classes, [str(name) for name in self.estimator.classes_], known)
