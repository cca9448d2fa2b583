"""A saved baseline that is damaged or something else is refused in one line."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.svm import LinearSVC

from baselines.loaded import LoadedBaseline
from fusionclf.catalog.fields import field_table
from fusionclf.errors import RunError

CLASSES = ["bag", "shirt", "shoe"]
TITLES = ["red shoe", "blue shirt", "green bag"]


def fitted(first: Any = None, last: Any = None) -> Pipeline:
    return make_pipeline(first or TfidfVectorizer(), last or LinearSVC()).fit(
        TITLES, ["shoe", "shirt", "bag"]
    )


def keep(folder: Path, estimator: object, classes: list[str] = CLASSES) -> Path:
    labels = {"candidates": [*classes, "tie"], "classes": {"label": classes}, "temperature": 1.0}
    (folder / "labels.json").write_text(json.dumps({"joint": labels}))
    skops.io.dump(estimator, folder / "joint.skops")
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(RunError) as error:
        LoadedBaseline(folder, "joint")
    message = str(error.value)
    assert "joint.skops: cannot be used" in message and message.endswith("train again with --overwrite")
    assert "\n" not in message and len(message) <= 400
    return message


@pytest.mark.parametrize(
    "estimator",
    [
        fitted(),
        fitted(CountVectorizer(), MultinomialNB()),
        DummyClassifier(strategy="prior").fit(np.zeros((3, 1)), CLASSES),
    ],
)
def test_fitted_baseline_predicts(tmp_path: Path, estimator: object) -> None:
    found = LoadedBaseline(keep(tmp_path, estimator), "joint").probabilities(field_table(["red shoe", ""]))
    assert found.shape == (2, 4) and np.allclose(found.sum(axis=1), 1) and (found[:, 3] == 0).all()


def changed(change: Callable[[Any], object]) -> Pipeline:
    model = fitted()
    change(model)
    return model


OTHERS: list[tuple[Callable[[], object], str]] = [
    (lambda: [1, 2], "holds list"),
    (lambda: {"classes_": ["a"]}, "holds dict"),
    (lambda: np.zeros(3), "holds ndarray"),
    (lambda: make_pipeline(TfidfVectorizer(), LinearSVC()), "not fitted"),
    (lambda: LinearSVC(), "holds LinearSVC"),
    (lambda: fitted(last=LogisticRegression()), "holds TfidfVectorizer, LogisticRegression"),
    (lambda: make_pipeline(DummyClassifier()).fit([[0]], ["a"]), ""),
    (lambda: fitted().fit(TITLES, ["a", "b", "c"]), "its classes are not those of labels.json"),
    (lambda: fitted(CountVectorizer(token_pattern="(a+)+$|[a-z]+")), "other settings"),
    (lambda: fitted(TfidfVectorizer(ngram_range=(1, 10**6))), "other settings"),
    (lambda: changed(lambda m: setattr(m[-1], "coef_", m[-1].coef_[:, :-1])), ""),
    (lambda: changed(lambda m: setattr(m[-1], "coef_", m[-1].coef_[:-1])), ""),
    (lambda: changed(lambda m: setattr(m[-1], "intercept_", np.full(3, np.nan))), "intercept_ holds"),
    (lambda: changed(lambda m: m[0].vocabulary_.update(shoe=10**6)), "not numbered"),
]


@pytest.mark.parametrize(("make", "message"), OTHERS)
def test_other_estimators_are_refused(tmp_path: Path, make: Callable[[], object], message: str) -> None:
    assert message in refused(keep(tmp_path, make()))


def rewritten(folder: Path, change: Callable[[str, bytes], bytes], kind: int = zipfile.ZIP_STORED) -> None:
    file = folder / "joint.skops"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, data in members.items():
            archive.writestr(name, change(name, data))


def test_a_compressed_file_is_refused_unread(tmp_path: Path) -> None:
    rewritten(keep(tmp_path, fitted()), lambda name, data: data + bytes(10**7), zipfile.ZIP_DEFLATED)
    assert "a compressed file" in refused(tmp_path)


@pytest.mark.parametrize("schema", [b"", b"[]", b"{}", b'{"a":' * 50_000 + b"1" + b"}" * 50_000])
def test_an_odd_schema_is_refused(tmp_path: Path, schema: bytes) -> None:
    rewritten(keep(tmp_path, fitted()), lambda name, data: schema if name == "schema.json" else data)
    refused(tmp_path)


def test_a_type_of_another_package_is_refused(tmp_path: Path) -> None:
    def another(name: str, data: bytes) -> bytes:
        return data.replace(b'"LinearSVC"', b'"system"').replace(b'"sklearn.svm._classes"', b'"os"')

    rewritten(keep(tmp_path, fitted()), another)
    assert "os.system" in refused(tmp_path)


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, data: bytes) -> None:
    (keep(tmp_path, fitted()) / "joint.skops").write_bytes(data)
    refused(tmp_path)
