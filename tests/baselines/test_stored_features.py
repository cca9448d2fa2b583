"""A stored baseline of several fields predicts as scikit-learn does, without it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from baselines.columns import features_of, model_input
from baselines.loaded import LoadedBaseline
from fusionclf.catalog.fields import Fields, field_table
from fusionclf.evaluation import softmax

CLASSES = ["bag", "shirt", "shoe"]
FIELDS = Fields(("description",), ("brand", "price"))
ROWS = 60
NEW = field_table(
    ["Red shoe", "", "Unknown  words"],
    {
        "description": ["a thing of leather", "", "thing"],
        "brand": ["Acme", "seen once", "never seen"],
        "price": ["3.5", "no number", "10000"],
    },
)


def products() -> tuple[Any, list[str]]:
    """Fields of training products, and their labels."""
    labels = [CLASSES[n % 3] for n in range(ROWS)]
    titles = [f"{'red' if n % 2 else 'blue'} {label} {n % 7}" for n, label in enumerate(labels)]
    brands = ["Acme" if n % 3 else "Other" for n in range(ROWS - 1)] + ["seen once"]
    further = {
        "description": [f"a thing of {label} and leather" for label in labels],
        "brand": brands,
        "price": [f"{n * 1.5}" for n in range(ROWS)],
    }
    return field_table(titles, further), labels


@pytest.mark.parametrize("bayes", [False, True])
def test_probabilities_are_those_of_scikit_learn(tmp_path: Path, bayes: bool) -> None:
    fields, labels = products()
    vectorizers: tuple[Any, Any] = (CountVectorizer(), CountVectorizer())
    if not bayes:
        ngrams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2)
        vectorizers = (ngrams, TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2))
    features = features_of(fields, FIELDS, *vectorizers)
    model = make_pipeline(features, MultinomialNB() if bayes else LinearSVC())
    model.fit(model_input(features, fields), labels)
    skops.io.dump(model, tmp_path / "joint.skops")
    stored = {"candidates": CLASSES, "classes": {"label": CLASSES}, "temperature": 0.5}
    (tmp_path / "labels.json").write_text(json.dumps({"joint": stored}))
    found = LoadedBaseline(tmp_path, "joint", FIELDS).probabilities(NEW)
    products_in = model_input(features, NEW)
    expected = (
        model.predict_proba(products_in) if bayes else softmax(model.decision_function(products_in) / 0.5)
    )
    assert np.allclose(found, expected, atol=1e-12)
    assert LoadedBaseline(tmp_path, "joint", FIELDS).reads_fields
