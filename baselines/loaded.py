"""A baseline from a run folder, to predict new products. Reading it needs no scikit-learn."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from baselines.stored_estimator import StoredEstimator, read_estimator
from baselines.stored_features import WORD, stored_features
from baselines.text_baseline import LEARNED, over_candidates
from fusionclf.catalog.fields import Fields, field_table
from fusionclf.errors import RunError
from fusionclf.evaluation import softmax
from fusionclf.evaluation.multilabel import SigmoidDecision
from fusionclf.run_schema import read_labels
from fusionclf.runfolder import AGAIN, one_line

if TYPE_CHECKING:
    from scipy import sparse

VECTORIZERS = ("CountVectorizer", "TfidfVectorizer")
COLUMNS, PRIOR, BAYES = "ColumnTransformer", "DummyClassifier", "MultinomialNB"
CLASSIFIERS = (BAYES, "LinearSVC")
# What a vectorizer must have where it has it: other settings compute otherwise.
SETTINGS = {
    "input": "content", "encoding": "utf-8", "decode_error": "strict", "strip_accents": None, "preprocessor": None,
    "tokenizer": None, "lowercase": True, "token_pattern": WORD.pattern, "stop_words": None, "max_df": 1.0,
    "max_features": None, "vocabulary": None, "binary": False, "norm": "l2", "use_idf": True, "smooth_idf": True,
}  # fmt: skip
LONGEST_NGRAM = 8
PROBES = ["", "a title"]
# Steps of the features of further fields, besides vectorizers.
STEPS = ("OneHotEncoder", "KBinsDiscretizer", "SimpleImputer")


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
        decision: how scores become labels, where a product can have several; else None.

    Raises:
        RunError: a file is missing or damaged, or is not a fitted baseline of the run's classes.
    """

    def __init__(self, folder: Path, part: str, fields: Fields = Fields()) -> None:  # noqa: B008  frozen
        labels = read_labels(folder, part)[part]
        if "candidates" not in labels:
            raise RunError(f"{folder / 'labels.json'}: {part}.candidates: is missing; {AGAIN}")
        self.classes: tuple[str, ...] = tuple(labels["candidates"])
        self.temperature = labels["temperature"]
        self.decision = SigmoidDecision.from_labels(labels)
        file = folder / f"{part}.skops"
        try:
            self._features, self._classifier = _checked(read_estimator(file), labels["classes"]["label"])
            probes = field_table(PROBES, {name: ["", "7"] for name in fields.names})
            _check_probabilities(self.probabilities(probes), add_up=self.decision is None)
        except Exception as error:  # a damaged estimator leads to errors of any kind
            raise RunError(one_line(f"cannot be used ({error}); {AGAIN}", file)) from error
        self.reads_titles = self._features is not None
        self.reads_fields = self._features is not None and self._features.kind == COLUMNS

    def probabilities(self, fields: pd.DataFrame) -> np.ndarray:
        """(n, K) probabilities of the candidates; a class without a training row has 0."""
        known = self._of_known(fields)
        return over_candidates(self.classes, [str(name) for name in self._classifier["classes_"]], known)

    def features(self, fields: pd.DataFrame) -> "sparse.csr_matrix":
        """(n, F) TF-IDF or counts of n products; for a baseline that reads titles."""
        assert self._features is not None, "this baseline reads nothing"
        return stored_features(self._features, fields)

    def _of_known(self, fields: pd.DataFrame) -> np.ndarray:
        """(n, k) probabilities of the classes with training rows."""
        if self._features is None:
            return np.tile(self._classifier["class_prior_"], (len(fields), 1))
        features = stored_features(self._features, fields)
        if self._classifier.kind == BAYES:
            return softmax(
                features @ self._classifier["feature_log_prob_"].T + self._classifier["class_log_prior_"]
            )
        scores = features @ self._classifier["coef_"].T + self._classifier["intercept_"]
        if self.decision is not None:
            return self.decision.probabilities(scores)
        if scores.shape[1] == 1:  # of two classes scikit-learn keeps one row
            scores = np.concatenate([-scores, scores], axis=1)
        return softmax(scores / self.temperature)


def _checked(estimator: Any, classes: Sequence[str]) -> tuple[StoredEstimator | None, StoredEstimator]:
    """Features, where it has some, and classifier of a baseline that is fitted on these classes.

    Raises:
        ValueError: it is none.
    """
    whole = isinstance(estimator, StoredEstimator) and estimator.kind == "Pipeline"
    steps = [step for _, step in estimator["steps"]] if whole else [estimator]
    kinds = tuple(step.kind if isinstance(step, StoredEstimator) else type(step).__name__ for step in steps)
    if kinds != (PRIOR,) and (
        len(kinds) != 2 or kinds[0] not in (*VECTORIZERS, COLUMNS) or kinds[1] not in CLASSIFIERS
    ):
        raise ValueError(f"holds {', '.join(kinds)}, which is not a baseline")
    for step in _blocks(steps[0]) if len(steps) == 2 else ():
        if step.kind in VECTORIZERS:
            _check_vectorizer(step)
    if [str(name) for name in steps[-1]["classes_"]] != list(classes):
        raise ValueError("its classes are not those of labels.json")
    for name in LEARNED:
        values = steps[-1].values.get(name)
        if values is not None and not np.isfinite(values).all():
            raise ValueError(f"{name} holds a number that is not finite")
    return steps[0] if len(steps) == 2 else None, steps[-1]


def _blocks(features: StoredEstimator) -> list[StoredEstimator]:
    """The steps of the features of all fields.

    Raises:
        ValueError: a step is none of a baseline's.
    """
    if features.kind != COLUMNS:
        return [features]
    steps: list[StoredEstimator] = []
    for _, block, _ in features["transformers_"]:
        steps += [step for _, step in block["steps"]] if block.kind == "Pipeline" else [block]
    for step in steps:
        if step.kind not in (*VECTORIZERS, *STEPS):
            raise ValueError(f"holds a {step.kind}, which is no part of a baseline")
    return steps


def _check_vectorizer(vectorizer: StoredEstimator) -> None:
    own = vectorizer.values
    odd = [name for name, value in SETTINGS.items() if own.get(name, value) != value]
    smallest, largest = own["ngram_range"]
    if odd or own["analyzer"] not in ("word", "char_wb") or not 1 <= smallest <= largest <= LONGEST_NGRAM:
        raise ValueError(f"its vectorizer has other settings than a baseline's: {odd or own['ngram_range']}")
    numbers = sorted(vectorizer["vocabulary_"].values())
    if numbers != list(range(len(numbers))):
        raise ValueError("its terms are not numbered from 0 on")


def _check_probabilities(probabilities: np.ndarray, add_up: bool) -> None:
    sums_are_right = not add_up or np.allclose(probabilities.sum(axis=1), 1)
    if not np.isfinite(probabilities).all() or not sums_are_right:
        raise ValueError("its predictions are not probabilities")
