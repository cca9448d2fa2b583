"""Fitting of a stacked head where there are too many products and classes for all pairs of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fusionclf.console import SILENT
from fusionclf.models.open_vocabulary import meta_training
from fusionclf.models.open_vocabulary.meta_training import fit_meta_classifiers
from fusionclf.stacking import fitting
from fusionclf.stacking.base_learners import PlacedFold, StackingData, make_folds
from fusionclf.stacking.fitting import FittingContext
from fusionclf.stacking.folds import plan_folds
from fusionclf.stacking.out_of_fold import predict_out_of_fold
from fusionclf.training import one_process
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
    monkeypatch.setattr(meta_training, "MOST_PAIRS", 10 * CLASSES)
    fit_meta_classifiers(folds, 0, ["both"])
    assert len(sizes) == 20 and max(sizes) == 10


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
