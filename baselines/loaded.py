"""A baseline that a run folder keeps: loaded through skops, asked for titles it has not seen."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from baselines.text_baseline import LEARNED, over_candidates
from fusionclf.errors import RunError
from fusionclf.evaluation import softmax
from fusionclf.run_schema import read_labels
from fusionclf.runfolder import AGAIN, one_line

VECTORIZERS, CLASSIFIERS = (CountVectorizer, TfidfVectorizer), (MultinomialNB, LinearSVC)
# A vectorizer's other parameters have their defaults: a stored pattern, say, could take for ever.
CHOSEN = {"analyzer", "ngram_range", "min_df", "sublinear_tf"}
LONGEST_NGRAM = 8
PROBES = ["", "a title"]


class LoadedBaseline:
    """A fitted title model.

    Args:
        folder: the run's model folder.
        part: of the split, or ALL_CLASSES.

    Attributes:
        classes: the candidates, in the order of the probabilities.
        reads_titles: whether it looks at the titles at all.

    Raises:
        RunError: a file is missing or damaged, or holds anything but a fitted baseline of the run's classes.
    """

    def __init__(self, folder: Path, part: str) -> None:
        labels = read_labels(folder, part)[part]
        if "candidates" not in labels:
            raise RunError(f"{folder / 'labels.json'}: {part}.candidates: is missing; {AGAIN}")
        self.classes: tuple[str, ...] = tuple(labels["candidates"])
        self.temperature = labels["temperature"]
        file = folder / f"{part}.skops"
        try:
            self.estimator = _load(file)
            _check(self.estimator, labels["classes"]["label"])
            _check_probabilities(self.probabilities(PROBES))
        except Exception as error:  # whatever skops or scikit-learn make of a damaged estimator
            raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", file)) from error
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


def _load(file: Path) -> Any:
    """The object in a skops file.

    Raises:
        ValueError: the file is compressed, which skops never does: what is unpacked could fill the memory.
    """
    # Imported here, as it takes seconds, and most runs are networks.
    import skops.io

    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("a compressed file")
    return skops.io.load(file, trusted=[])


def _check(estimator: Any, classes: Sequence[str]) -> None:
    """Raises ValueError where an estimator is none that a baseline fits, or is not fitted on these classes."""
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    kinds = tuple(type(step) for step in steps)
    if kinds != (DummyClassifier,):
        if len(kinds) != 2 or kinds[0] not in VECTORIZERS or kinds[1] not in CLASSIFIERS:
            raise ValueError(f"holds {', '.join(kind.__name__ for kind in kinds)}, which no baseline is")
    for step in steps:
        check_is_fitted(step)
    if len(steps) == 2:
        _check_vectorizer(steps[0])
    if [str(name) for name in estimator.classes_] != list(classes):
        raise ValueError("its classes are not those of labels.json")
    for name in LEARNED:
        values = getattr(steps[-1], name, None)
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} holds what is no finite number")


def _check_vectorizer(vectorizer: CountVectorizer) -> None:
    defaults, own = type(vectorizer)().get_params(), vectorizer.get_params()
    odd = [name for name in defaults if name not in CHOSEN and own[name] != defaults[name]]
    smallest, largest = own["ngram_range"]
    if odd or own["analyzer"] not in ("word", "char_wb") or not 1 <= smallest <= largest <= LONGEST_NGRAM:
        raise ValueError(f"its vectorizer has other settings than a baseline's: {odd or own['ngram_range']}")
    numbers = sorted(vectorizer.vocabulary_.values())
    if numbers != list(range(len(numbers))):
        raise ValueError("its terms are not numbered from 0 on")


def _check_probabilities(probabilities: np.ndarray) -> None:
    if not np.isfinite(probabilities).all() or not np.allclose(probabilities.sum(axis=1), 1):
        raise ValueError("its answers are no probabilities")
