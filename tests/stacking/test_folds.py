"""Which rows and classes are held out to fit a stacked head, and predictions for them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import sparse

from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import CategoryGraph
from fusionclf.models.linear_text_inputs import LinearTextInputs
from fusionclf.models.open_vocabulary import meta_training
from fusionclf.models.open_vocabulary.level_zero import MASKED_LOGIT
from fusionclf.models.open_vocabulary.meta_training import fit_meta_classifiers
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.stacking import part_answers
from fusionclf.stacking.base_learners import (
    StackingData,
)
from fusionclf.stacking.class_places import class_families, class_paths
from fusionclf.stacking.fold_fitting import PlacedFold, make_folds
from fusionclf.stacking.folds import CLASS_FOLDS, balanced_weights, group_folds, held_out_classes, plan_folds
from fusionclf.stacking.out_of_fold import OutOfFoldPredictions, predict_out_of_fold
from fusionclf.stacking.part_answers import PARTS, PartAnswers
from fusionclf.stacking.samples import LEAST_ROWS, sample_of_each_class
from fusionclf.workflows.train import train
from tests.small import small_late_fusion


def test_folds_hold_out_each_class_alone_and_with_its_family() -> None:
    classes = np.arange(20)
    folds = held_out_classes(classes, classes // 4, folds=3, seed=1)
    assert len(folds) == 6
    assert sorted(np.concatenate(folds[:3])) == sorted(np.concatenate(folds[3:])) == classes.tolist()
    for fold in folds[3:]:
        assert all((np.isin(classes, fold)[classes // 4 == n // 4]).all() for n in fold)


def test_no_fold_holds_all_classes_out() -> None:
    assert held_out_classes(np.arange(2), np.zeros(2), folds=5) != []
    assert all(len(fold) == 1 for fold in held_out_classes(np.arange(2), np.zeros(2), folds=5))


def test_rows_of_one_group_are_held_out_together() -> None:
    groups = np.array([f"brand {n % 17}" for n in range(200)], object)
    fold = group_folds(groups, 6, seed=0)
    assert set(fold) == set(range(6))
    assert all(len(set(fold[groups == name])) == 1 for name in groups)
    assert (group_folds(groups, 6, seed=1) != fold).any()


def test_one_long_title_does_not_fill_the_memory() -> None:
    titles = np.array([f"title {row}" for row in range(30_000)] + ["x" * 2**20], object)
    assert len(set(group_folds(titles, 5, seed=0))) == 5  # an array of str would take 126 GB


def test_no_fold_divides_the_variants_of_a_style() -> None:
    together = np.arange(120) // 4
    titles = np.array([f"{'red blue grey black'.split()[n % 4]} thing {n}" for n in range(120)], object)
    years = np.array([str(2010 + n % 3) for n in range(120)], object)
    targets = np.arange(120) // 40
    plan = plan_folds(titles, years, targets, np.arange(3).astype(str), 0, together=together)
    for kind in ("random", "brand", "year"):
        fold = plan.fold_of[kind]
        assert len(set(fold)) > 1 and all(len(set(fold[together == style])) == 1 for style in range(30)), kind
    alone = plan_folds(titles, years, targets, np.arange(3).astype(str), 0)
    assert any(len(set(alone.fold_of["brand"][together == style])) > 1 for style in range(30))


def test_rows_of_one_group_alone_are_divided() -> None:
    fold = group_folds(np.zeros(30), 3, seed=0)
    assert np.bincount(fold).tolist() == [10, 10, 10]


def test_large_groups_get_own_folds_and_small_ones_share() -> None:
    years = np.repeat(["2010", "2012", "2014", "2016", "2018"], [40, 600, 20, 300, 30])
    fold = group_folds(years, 3)
    members = {frozenset(years[fold == number]) for number in range(3)}
    assert members == {frozenset({"2012"}), frozenset({"2016"}), frozenset({"2010", "2014", "2018"})}


def test_seen_unseen_and_prototype_rows_weigh_alike() -> None:
    unseen = np.array([True] * 30 + [False] * 10)
    with_prototype = np.arange(40) < 5
    weights = balanced_weights(unseen, with_prototype, np.arange(40))
    groups = (with_prototype, unseen & ~with_prototype, ~unseen)
    assert np.allclose([weights[group].sum() for group in groups], 40 / 3)
    none = np.zeros(5, bool)
    assert np.array_equal(balanced_weights(none, none, np.full(5, 7)), np.ones(5))


def test_rows_of_rare_unseen_classes_weigh_more() -> None:
    none = np.zeros(2, bool)
    seen = balanced_weights(none, none, np.array([1, 16]))
    assert np.allclose(seen, [1, 1])
    unseen = balanced_weights(~none, none, np.array([1, 16]))
    assert np.allclose(unseen, [8 / 5, 2 / 5])


def test_a_sample_has_rows_of_every_class() -> None:
    classes = np.repeat([0, 1, 2, 3], [90_000, 9_000, 120, 3])
    places = sample_of_each_class(classes, 5_000, seed=1)
    counts = np.bincount(classes[places])
    assert len(places) == len(set(places)) == 5_000 and (np.diff(places) > 0).all()
    assert counts[3] == 3 and counts[2] >= LEAST_ROWS and counts[1] >= LEAST_ROWS
    assert counts[0] == pytest.approx(4_500, rel=0.05)


def test_a_class_has_its_place_in_train_rows() -> None:
    """Hat is below A in training and mostly below B in the test; without train rows the first path counts."""
    paths = (("A", "Hat"), ("B", "Hat"), ("C", "Kite"), ("D", "Kite"))
    graph = CategoryGraph(("master", "type"), ("Hat", "Kite"), paths, (3, 1, 0, 0))
    assert class_paths(graph, ["Kite", "Hat"]) == ["Kite, C", "Hat, A"]
    assert class_families(graph, ["Kite", "Hat"]).tolist() == ["C", "A"]
    flat = CategoryGraph(("type",), ("Hat", "Kite"), (("Hat",), ("Kite",)), (3, 0))
    assert class_paths(flat, ["Hat"]) == ["Hat"] and len(set(class_families(flat, ["Hat", "Kite"]))) == 2


def noisy_data(allows_unseen: bool, products: int = 400, classes: int = 8) -> StackingData:
    """Products whose labels are drawn at random, so that no model can be right more often than by chance."""
    generator, noise = np.random.default_rng(0), torch.Generator().manual_seed(0)
    everything = np.ones(products, bool)
    features = torch.randn(products, 8, generator=noise)
    counts = sparse.csr_matrix(generator.integers(0, 2, (products, 64)).astype(np.float32))
    titles = np.array([f"brand{n % 40} thing {n}" for n in range(products)], object)
    targets = generator.integers(classes, size=products)
    embeddings = generator.normal(size=(products, 6)).astype(np.float32)
    return StackingData(
        np.arange(products) + 1000, titles, targets,
        LinearTextInputs({"title": counts}, {"title": embeddings}, {}), embeddings,
        {"both": features, "picture": features},
        torch.rand(products, classes, len(NAME_MATCH_FEATURES), generator=noise),
        everything, everything, everything, allows_unseen,
        LinearTextInputs({"title": counts[:classes]}, {"title": embeddings[:classes]}, {}),
    )  # fmt: skip


def fit(data: StackingData, console: Console) -> tuple[list[PlacedFold], OutOfFoldPredictions]:
    plan = plan_folds(
        data.titles, None, data.targets, np.arange(data.classes).astype(str), 0, data.allows_unseen
    )
    made = make_folds(data, plan, 0, console)
    folds = [placed for kind in made.values() for placed in kind.values()]
    return folds, predict_out_of_fold(data, plan, made, 0, console)


@pytest.mark.slow
@pytest.mark.parametrize("allows_unseen", [False, True])
def test_out_of_fold_predictions_know_nothing_of_the_brand(
    allows_unseen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meta_training, "STEPS", {"both": 300, "title": 1, "picture": 1})
    data = noisy_data(allows_unseen)
    folds, predictions = fit(data, SILENT)
    left = 400 - len(predictions.rows)  # rows whose class both of their folds hold out
    assert len(set(predictions.rows)) == len(predictions.rows)
    assert left < 100 if allows_unseen else left == 0
    assert len(folds) == (4 if allows_unseen else 2) * CLASS_FOLDS
    targets = data.targets[predictions.rows - 1000]
    held_out = (predictions.logits.argmax(axis=1) == targets).mean()
    assert held_out < 0.2  # chance is an eighth
    meta_folds = [fold for fold, _ in folds]
    fitted = fit_meta_classifiers(meta_folds, 0)["both"]
    memorised = [
        fitted(fold.level_zero("both"), fold.classes).argmax(1) == fold.targets for fold in meta_folds
    ]
    assert torch.cat(memorised).double().mean() > held_out


@pytest.mark.slow
def test_held_out_rows_are_predicted_by_a_better_product(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_training, "STEPS", {"both": 50, "title": 1, "picture": 1})
    monkeypatch.setattr(part_answers, "fit_blend", lambda *scores: (2.0, 1.0))
    agree: dict[bool, float] = {}
    for is_better in (False, True):
        monkeypatch.setattr(PartAnswers, "product_is_better", is_better)
        _, predictions = fit(noisy_data(False), SILENT)
        parts = predictions.parts
        assert parts is not None and np.array_equal(parts.rows, predictions.rows)
        of_product = parts.answers[:, PARTS.index("their product")]
        agree[is_better] = float((predictions.logits.argmax(axis=1) == of_product).mean())
    assert agree[True] > 0.99 > agree[False]


@pytest.mark.slow
@pytest.mark.parametrize("allows_unseen", [False, True])
def test_held_out_answers_know_classes_of_one_brand_alone(
    allows_unseen: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two classes a brand, named by codes: without its brand's rows no class can be answered."""
    monkeypatch.setattr(meta_training, "STEPS", {"both": 300, "title": 1, "picture": 1})
    targets = np.arange(400) % 8
    words = sparse.csr_matrix(np.eye(64, dtype=np.float32)[targets])
    data = noisy_data(allows_unseen)
    data = replace(
        data,
        titles=np.array([f"brand{n % 4} item-kind{n % 8} {n}" for n in range(400)], object),
        targets=targets,
        texts=LinearTextInputs({"title": words}, {"title": data.embeddings}, {}),
    )
    _, predictions = fit(data, SILENT)
    assert predictions.as_unseen is None  # every class has rows
    own = targets[predictions.rows - 1000]
    assert predictions.seen[np.arange(len(own)), own].all()
    assert len(own) > 240  # random folds hold a third of the classes out
    assert (predictions.logits.argmax(axis=1) == own).mean() > 0.95


@pytest.mark.slow
def test_each_row_is_also_predicted_as_if_its_class_had_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words tell the class of a row, but not where the class has no rows; the names tell nothing."""
    monkeypatch.setattr(meta_training, "STEPS", {"both": 300, "title": 1, "picture": 1})
    data = noisy_data(True, classes=9)
    targets = np.where(np.arange(400) % 40 == 7, 7, np.arange(400) % 7)  # the ninth class has no row
    words = sparse.csr_matrix(np.eye(64, dtype=np.float32)[targets])
    texts = LinearTextInputs({"title": words}, {"title": data.embeddings}, {})
    _, predictions = fit(replace(data, targets=targets, texts=texts), SILENT)
    found = predictions.as_unseen
    assert found is not None and len(set(found.rows)) == len(found.rows) > 350  # all but for support rows
    own = targets[found.rows - 1000]
    assert not found.seen[np.arange(len(own)), own].any() and not found.seen[:, 8].any()
    assert (found.logits > MASKED_LOGIT).all()
    assert (predictions.logits.argmax(axis=1) == targets[predictions.rows - 1000]).mean() > 0.8
    assert (found.logits.argmax(axis=1) == own).mean() < 0.4


class WatchedConsole(Console):
    """Keeps the last step of each bar."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.last: dict[str, tuple[int, int]] = {}

    @contextmanager
    def bar(self, title: str, total: int | None = None) -> Iterator[Callable[[int, int], None]]:
        self.last[title] = 0, total or 0

        def step(done: int, to_do: int) -> None:
            assert done == self.last[title][0] + 1
            self.last[title] = done, to_do

        yield step


@pytest.mark.slow
def test_every_step_of_fitting_shows_in_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_training, "STEPS", {"both": 30, "title": 20, "picture": 10})
    console = WatchedConsole()
    fit(noisy_data(allows_unseen=False), console)
    assert console.last == {
        "products held out by random": (3, 3),
        "products held out by brand": (3, 3),
        "meta-classifiers for held-out rows": (90, 90),
    }


def test_too_few_products_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StackingData, "can_fit", lambda self, fitted: False)
    with pytest.raises(RunError, match=r"400 products of 8 classes are too few.*model\.vocabulary=closed"):
        fit(noisy_data(allows_unseen=False), SILENT)


def test_too_few_classes_are_refused_before_training(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=open", "scheme=two_stage", "split.top_k=2")
    with pytest.raises(
        SettingsError, match=r"top2: 2 classes have train rows, and model\.vocabulary=open needs 3"
    ):
        train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("trained", "expected"), [(9, "open"), (3, "open"), (2, "named"), (1, "closed")])
def test_auto_takes_the_vocabulary_that_the_classes_allow(trained: int, expected: str) -> None:
    params = FusionParams.model_validate({"text": {"kind": "both"}, "wide": True})
    assert params.resolve_auto(trained).vocabulary == expected
