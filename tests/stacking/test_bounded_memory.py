"""Fitting of a stacked head where there are too many products and classes for all pairs of them."""

import io
from contextlib import redirect_stderr
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from fusionclf.console import SILENT
from fusionclf.models.open_vocabulary import meta_training, name_match_features
from fusionclf.models.open_vocabulary.meta_training import fit_meta_classifiers
from fusionclf.stacking import chosen_logits, fitting, fold_fitting
from fusionclf.stacking.base_learners import StackingData, compare_names, fit_base_learners
from fusionclf.stacking.fitting import FittingContext
from fusionclf.stacking.fold_fitting import PlacedFold, make_folds
from fusionclf.stacking.folds import plan_folds
from fusionclf.stacking.out_of_fold import predict_out_of_fold
from fusionclf.training import one_process
from fusionclf.workflows.train import train
from tests.small import short_fitting, small_late_fusion
from tests.stacking.test_folds import noisy_data

CLASSES = 8


@pytest.fixture(scope="module")
def data() -> StackingData:
    return noisy_data(allows_unseen=True)


@pytest.fixture(scope="module")
def few(data: StackingData) -> StackingData:
    """The same products, of which every fifth can be a query."""
    queries = np.arange(0, 400, 5)
    return replace(data, queries=queries, name_match=data.name_match[queries])


def folds_of(data: StackingData) -> dict[str, dict[int, PlacedFold]]:
    plan = plan_folds(data.titles, None, data.targets, np.arange(CLASSES).astype(str), 0)
    return make_folds(data, plan, 0, SILENT)


def test_folds_of_few_queries_are_those_rows_of_the_folds(data: StackingData, few: StackingData) -> None:
    for kind, own in folds_of(data).items():
        for number, (fold, query) in own.items():
            other, chosen = folds_of(few)[kind][number]
            assert chosen.tolist() == [place for place in query if place % 5 == 0]
            rows = torch.from_numpy(np.searchsorted(query, chosen))
            for modality in ("both", "picture"):
                ours, theirs = other.level_zero(modality), fold.level_zero(modality, rows)
                assert torch.equal(ours.similarity, theirs.similarity)
                assert ours.base is not None and theirs.base is not None
                assert torch.allclose(ours.base, theirs.base, atol=1e-5)
            mine, of_all = other.level_zero("both"), fold.level_zero("both", rows)
            assert mine.name_match is not None and of_all.name_match is not None
            assert torch.equal(mine.name_match, of_all.name_match)
            assert torch.equal(other.targets, fold.targets[rows])
        break  # one kind of fold is enough


def test_folds_and_their_subsets_share_what_is_large(data: StackingData) -> None:
    fold, query = folds_of(data)["random"][0]
    some = fold.subset(torch.arange(len(query) - 1, 0, -2)).subset(torch.arange(3))
    for shared in (fold.name_match, some.name_match):
        assert shared.data_ptr() == data.name_match.data_ptr()
    assert some.linear_text.data_ptr() == fold.linear_text.data_ptr()
    last = len(query) - 1
    expected = fold.level_zero("both", torch.tensor([last, last - 2, last - 4]))
    found = some.level_zero("both")
    assert found.name_match is not None and expected.name_match is not None
    assert torch.equal(found.name_match, expected.name_match) and some.pairs == 3 * CLASSES
    assert found.linear_text is not None and expected.linear_text is not None
    assert torch.equal(found.linear_text, expected.linear_text)


@pytest.mark.slow
def test_held_out_predictions_are_those_of_queries(
    few: StackingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta_training, "STEPS", {"both": 20, "title": 1, "picture": 1})
    plan = plan_folds(few.titles, None, few.targets, np.arange(CLASSES).astype(str), 0)
    found = predict_out_of_fold(few, plan, make_folds(few, plan, 0, SILENT), 0, SILENT)
    assert 40 < len(found.rows) <= 80 and set(found.rows - 1000) <= set(np.arange(0, 400, 5))


def test_a_batch_of_thousands_of_classes_has_fewer_rows(
    data: StackingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    folds = [fold for fold, _ in folds_of(data)["random"].values()]
    sizes: list[int] = []
    real = meta_training._loss

    def watched(classifier, fold, rows, modality):  # type: ignore[no-untyped-def]
        sizes.append(len(rows))
        return real(classifier, fold, rows, modality)

    monkeypatch.setattr(meta_training, "_loss", watched)
    monkeypatch.setattr(meta_training, "STEPS", {"both": 20})
    monkeypatch.setattr(meta_training, "MOST_CLASSES", CLASSES // 2)
    monkeypatch.setattr(meta_training, "BATCH", 20)
    fit_meta_classifiers(folds, 0, ["both"])
    assert len(sizes) == 20 and max(sizes) == 10


def test_names_are_compared_with_the_classes_of_all_rows(data: StackingData) -> None:
    everything = np.ones(len(data.rows), bool)
    weights = fit_base_learners(data, everything, 0).linear_text
    counts = torch.from_numpy(np.bincount(data.targets, minlength=CLASSES))
    counts[3] = 0
    of_sample, of_all = (compare_names(data, weights, everything, times * counts) for times in (1, 10))
    assert of_sample.shape == of_all.shape == (2, 1, CLASSES - 1)
    assert torch.equal(of_sample[0], of_all[0])
    assert torch.allclose(of_all[1].expm1(), 10 * of_sample[1].expm1(), rtol=0.05)


def test_queries_are_a_sample_where_pairs_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = np.sort(np.random.default_rng(0).integers(0, 50, 3000) ** 2 // 50)
    context = FittingContext(one_process("fp32", "cpu"))  # type: ignore[arg-type]
    assert fitting._queries(targets, 50, context) is None
    monkeypatch.setattr(fitting, "MOST_PAIRS", 50 * 600)
    queries = fitting._queries(targets, 50, context)
    assert queries is not None and len(queries) == len(set(queries)) == 600
    assert set(targets[queries]) == set(targets)
    again = fitting._queries(targets, 50, context)
    assert again is not None and np.array_equal(queries, again)


@pytest.mark.parametrize("classes", [30, 400])
def test_a_sample_of_rows_has_each_class(classes: int) -> None:
    targets = np.arange(2000) % 1000 % classes
    rows = np.arange(0, 2000, 2)
    some = fitting._sampled(rows, targets, 100, 0)
    assert set(targets[some]) == set(targets[rows]) and set(some) <= set(rows)
    assert len(some) == max(100, 2 * len(set(targets[rows])))


@pytest.mark.slow
def test_a_training_within_narrow_bounds_is_whole(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fewer products in folds than in the linear text model, fewer there than in the split, and few queries."""
    short_fitting(monkeypatch)
    monkeypatch.setattr(fitting, "MOST_ROWS", 150)
    monkeypatch.setattr(fitting, "MOST_TEXTS", 200)
    monkeypatch.setattr(fitting, "MOST_PAIRS", 28 * 100)
    monkeypatch.setattr(name_match_features, "MOST_COMPARED", 1000)
    monkeypatch.setattr(chosen_logits, "PAIRS_AT_ONCE", 1000)
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=open", "train.epochs=1")
    printed = io.StringIO()
    with redirect_stderr(printed):
        train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    shown = printed.getvalue()
    assert shown.count("meta-classifiers: fitted on 100 of 150 products, for 28 classes") == 1
    assert shown.count("linear text model: fitted on 200 of ") == 1
    held_out = pd.read_parquet(tmp_path / "run/held_out/joint.parquet")
    answers = pd.read_parquet(tmp_path / "run/predictions/joint.parquet")
    assert 50 < len(held_out) <= 100 and len(answers) > 250
    assert np.allclose(answers["prob_label"].clip(0, 1), answers["prob_label"])
    assert len(set(held_out["label"])) > 10


@pytest.mark.slow
def test_a_closed_vocabulary_reads_a_sample_of_texts(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "MOST_TEXTS", 150)
    words = (
        *small_late_fusion(tiny_bert),
        "model.vocabulary=closed",
        "train.epochs=1",
        "scheme=single_stage",
    )
    printed = io.StringIO()
    with redirect_stderr(printed):
        metrics = train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert printed.getvalue().count("linear text model: fitted on 150 of ") == 1
    assert metrics["joint"]["top1"] > 40


def test_folds_are_the_same_one_after_the_other(data: StackingData, monkeypatch: pytest.MonkeyPatch) -> None:
    together = folds_of(data)
    monkeypatch.setattr(fold_fitting, "MOST_WEIGHTS", 1)
    assert fold_fitting._at_once(data) == 1
    alone = folds_of(data)
    assert {kind: list(folds) for kind, folds in together.items()} == {k: list(f) for k, f in alone.items()}
    for kind, folds in together.items():
        for number, (fold, query) in folds.items():
            other, places = alone[kind][number]
            assert (query == places).all()
            assert torch.allclose(fold.linear_text, other.linear_text, atol=1e-2)
            assert torch.allclose(fold.base["both"], other.base["both"], atol=1e-2)
