"""Embeddings: what each kind of model gives, and that they agree with its predictions."""

from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.errors import PredictionError, RunError
from fusionclf.prediction.projection import WIDTH, project, tfidf
from fusionclf.workflows.baseline import run_baseline
from tests.runs import Runs

READS_BOTH, READS_ONE = ("fusion", "open", "columns"), ("linear", "text", "multitask")
COUNT = 12


def inputs(sample: Catalog) -> tuple[list[tuple[Path, ...]], list[str]]:
    rows = np.arange(COUNT)
    return sample.all_picture_paths(rows), sample.table["title"].iloc[rows].tolist()


@pytest.mark.parametrize("name", [*READS_BOTH, *READS_ONE])
def test_embeddings_have_length_1_and_agree_with_predict(name: str, runs: Runs, sample: Catalog) -> None:
    model = fusionclf.load(runs(name))
    found = model.embed(*inputs(sample), errors="collect")
    answers = model.predict(*inputs(sample), errors="collect")
    assert len(found) == COUNT and found.classes == tuple(sorted(model.classes))
    there = found.answered_at_all
    assert there.tolist() == answers.answered_at_all and there.any()
    assert np.allclose(np.linalg.norm(found.joint[there], axis=1), 1, atol=1e-5)
    assert (found.picture is not None) == (found.text is not None) == (name in READS_BOTH)
    assert found.probabilities is not None
    best = np.array(found.classes)[found.probabilities[there].argmax(axis=1)]
    assert best.tolist() == [labels[0] for labels, own in zip(answers.labels, there, strict=True) if own]
    assert np.allclose(found.probabilities[there].max(axis=1), answers.probabilities[there, 0], atol=1e-3)


@pytest.mark.parametrize("name", READS_BOTH)
def test_missing_input_is_nan_and_the_other_stays(name: str, runs: Runs, sample: Catalog) -> None:
    model = fusionclf.load(runs(name))
    pictures, titles = inputs(sample)
    both = model.embed(pictures[:1], titles[:1])
    found = model.embed([pictures[0], None, None], ["", titles[0], ""], errors="collect")
    assert found.picture is not None and found.text is not None
    assert both.picture is not None and both.text is not None
    assert np.isnan(found.picture).all(axis=1).tolist() == [False, True, True]
    assert np.isnan(found.text).all(axis=1).tolist() == [True, False, True]
    assert found.answered_at_all.tolist() == [True, True, False]
    assert found.picture[0] @ both.picture[0] > 0.99 and found.text[1] @ both.text[0] > 0.99
    assert found.reasons == ["", "", "no picture; no title"] and found.decisions[2] == "none"


def test_equal_products_are_nearer_than_others(runs: Runs) -> None:
    titles = ["Nordvik Women Red Dress", "Nordvik Women Red Dresses", "Bryton Men Steel Watch"]
    found = fusionclf.load(runs("linear")).embed(titles=titles)
    assert found.joint[0] @ found.joint[1] > 0.7 > 0.4 > found.joint[0] @ found.joint[2]


def test_picture_that_cannot_be_read_raises(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(PredictionError, match="product 0"):
        fusionclf.load(runs("fusion")).embed([tmp_path / "none.jpg"], [""])


def test_run_that_reads_nothing_has_no_embeddings(sample_dir: Path, tmp_path: Path) -> None:
    run_baseline("majority", sample_dir, tmp_path / "run")
    with pytest.raises(RunError, match="reads no input"):
        fusionclf.load(tmp_path / "run").embed(titles=["Dress"])


def test_projection_keeps_cosines() -> None:
    rng = np.random.default_rng(0)
    dense = rng.random((60, 5000)) * (rng.random((60, 5000)) < 0.01)
    dense[30:] = 0.7 * dense[:30] + 0.3 * dense[30:]
    dense /= np.linalg.norm(dense, axis=1, keepdims=True)
    found = project(sparse.csr_matrix(dense))
    assert found.shape == (60, WIDTH)
    errors = found @ found.T - dense @ dense.T
    assert np.abs(errors).max() < 0.25 and errors.std() < 0.06
    assert (project(sparse.csr_matrix(dense[:3])) == found[:3]).all()


def test_tfidf_rows_have_length_1_or_0() -> None:
    counts = sparse.csr_matrix(np.array([[0, 2, 1.0], [0, 0, 0], [1, 0, 0]]))
    found = tfidf(counts, np.array([1.0, 2.0, 3.0])).toarray()
    assert np.linalg.norm(found, axis=1).tolist() == pytest.approx([1, 0, 1])
    assert found[0, 1] / found[0, 2] == pytest.approx(2 * (1 + np.log(2)) / 3)
