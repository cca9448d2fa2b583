"""A baseline from a run folder, loaded through skops, to predict new titles."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from baselines.columns import first_step, model_input
from baselines.text_baseline import LEARNED, over_candidates
from fusionclf.catalog.fields import Fields, field_table
from fusionclf.errors import RunError
from fusionclf.evaluation import softmax
from fusionclf.run_schema import read_labels
from fusionclf.runfolder import AGAIN, one_line

VECTORIZERS, CLASSIFIERS = (CountVectorizer, TfidfVectorizer), (MultinomialNB, LinearSVC)
# All other parameters of a vectorizer must have their defaults: a stored pattern, for example, could take forever.
ALLOWED = {"analyzer", "ngram_range", "min_df", "sublinear_tf"}
LONGEST_NGRAM = 8
TRUSTED = ["numpy.dtype"]  # of the cells of further fields; it holds no code
PROBES = ["", "a title"]
# Steps of the features of further fields, besides vectorizers.
STEPS = (OneHotEncoder, KBinsDiscretizer, SimpleImputer)


class LoadedBaseline:
    """A fitted title model of a run.

    Args:
        folder: the run's model folder.
        part: of the split, or ALL_CLASSES.
        fields: further texts and attributes that the run was given.

    Attributes:
        classes: the candidates, in the order of the probabilities.
        reads_titles: whether it reads the titles.
        reads_fields: whether it reads the further fields, too.

    Raises:
        RunError: a file is missing or damaged, or is not a fitted baseline of the run's classes.
    """

    def __init__(self, folder: Path, part: str, fields: Fields = Fields()) -> None:  # noqa: B008  frozen
        labels = read_labels(folder, part)[part]
        if "candidates" not in labels:
            raise RunError(f"{folder / 'labels.json'}: {part}.candidates: is missing; {AGAIN}")
        self.classes: tuple[str, ...] = tuple(labels["candidates"])
        self.temperature = labels["temperature"]
        file = folder / f"{part}.skops"
        try:
            self.estimator = _load(file)
            _check(self.estimator, labels["classes"]["label"])
            probes = field_table(PROBES, {name: ["", "7"] for name in fields.names})
            _check_probabilities(self.probabilities(probes))
        except Exception as error:  # skops and scikit-learn raise errors of any kind on a damaged estimator
            raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", file)) from error
        self.reads_titles = not isinstance(self.estimator, DummyClassifier)
        self.reads_fields = isinstance(first_step(self.estimator), ColumnTransformer)

    def probabilities(self, fields: pd.DataFrame) -> np.ndarray:
        """(n, K) probabilities of the candidates; a class without a training row has 0."""
        products = model_input(first_step(self.estimator), fields)
        if hasattr(self.estimator, "predict_proba"):
            known = self.estimator.predict_proba(products)
        else:
            scores = self.estimator.decision_function(products)
            if scores.ndim == 1:  # for two classes scikit-learn returns one column
                scores = np.stack([-scores, scores], axis=1)
            known = softmax(scores / self.temperature)
        return over_candidates(self.classes, [str(name) for name in self.estimator.classes_], known)


def _load(file: Path) -> Any:
    """The object in a skops file.

    Raises:
        ValueError: the file is compressed, which skops never writes: its content could fill the memory.
    """
    # Imported here, as it takes seconds and most runs are networks.
    import skops.io

    with zipfile.ZipFile(file) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("a compressed file")
    return skops.io.load(file, trusted=TRUSTED)


def _check(estimator: Any, classes: Sequence[str]) -> None:
    """Raise ValueError where an estimator is not one of a baseline, or is not fitted on these classes."""
    steps = [step for _, step in estimator.steps] if type(estimator) is Pipeline else [estimator]
    kinds = tuple(type(step) for step in steps)
    if kinds != (DummyClassifier,):
        if (
            len(kinds) != 2
            or kinds[0] not in (*VECTORIZERS, ColumnTransformer)
            or kinds[1] not in CLASSIFIERS
        ):
            raise ValueError(f"holds {', '.join(kind.__name__ for kind in kinds)}, which is not a baseline")
    for step in steps:
        check_is_fitted(step)
    if len(steps) == 2:
        for step in _blocks(steps[0]):
            if isinstance(step, CountVectorizer):
                _check_vectorizer(step)
    if [str(name) for name in estimator.classes_] != list(classes):
        raise ValueError("its classes are not those of labels.json")
    for name in LEARNED:
        values = getattr(steps[-1], name, None)
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} holds a number that is not finite")


def _blocks(features: Any) -> list[Any]:
    """The steps of the features of all fields.

    Raises:
        ValueError: a step is none of a baseline's.
    """
    if not isinstance(features, ColumnTransformer):
        return [features]
    steps: list[Any] = []
    for _, block, _ in features.transformers_:
        steps += [step for _, step in block.steps] if isinstance(block, Pipeline) else [block]
    for step in steps:
        if type(step) not in (*VECTORIZERS, *STEPS):
            raise ValueError(f"holds a {type(step).__name__}, which is no part of a baseline")
    return steps


def _check_vectorizer(vectorizer: CountVectorizer) -> None:
    defaults, own = type(vectorizer)().get_params(), vectorizer.get_params()
    odd = [name for name in defaults if name not in ALLOWED and own[name] != defaults[name]]
    smallest, largest = own["ngram_range"]
    if odd or own["analyzer"] not in ("word", "char_wb") or not 1 <= smallest <= largest <= LONGEST_NGRAM:
        raise ValueError(f"its vectorizer has other settings than a baseline's: {odd or own['ngram_range']}")
    numbers = sorted(vectorizer.vocabulary_.values())
    if numbers != list(range(len(numbers))):
        raise ValueError("its terms are not numbered from 0 on")


def _check_probabilities(probabilities: np.ndarray) -> None:
    if not np.isfinite(probabilities).all() or not np.allclose(probabilities.sum(axis=1), 1):
        raise ValueError("its predictions are not probabilities")
