"""Which rows and classes are held out to teach an open vocabulary."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.console import Console
from fusionclf.errors import RunError, SettingsError
from fusionclf.evaluation import CategoryGraph
from fusionclf.models.open_vocabulary import meta_classifier as scorer
from fusionclf.models.open_vocabulary.meta_classifier import Episode
from fusionclf.models.open_vocabulary.name_match_features import FIGURES
from fusionclf.models.open_vocabulary.stacked_head import Vocabulary
from fusionclf.models.variants.fusion import FusionParams
from fusionclf.stacking.fitting import LEAST_ROWS, some_of_each
from fusionclf.stacking.folds import (
    CLASS_FOLDS,
    _weighed_alike,
    class_families,
    class_paths,
    even_folds,
    fit_on_episodes,
    held_out_folds,
    row_folds,
)
from fusionclf.workflows.train import train
from tests.small import small_late_fusion


def test_folds_take_every_class_away_once_alone_and_once_with_its_family() -> None:
    classes = np.arange(20)
    folds = held_out_folds(classes, classes // 4, folds=3, seed=1)
    assert len(folds) == 6
    assert sorted(np.concatenate(folds[:3])) == sorted(np.concatenate(folds[3:])) == classes.tolist()
    for fold in folds[3:]:
        assert all((np.isin(classes, fold)[classes // 4 == n // 4]).all() for n in fold)


def test_no_fold_takes_all_classes_away() -> None:
    assert held_out_folds(np.arange(2), np.zeros(2), folds=5) != []
    assert all(len(fold) == 1 for fold in held_out_folds(np.arange(2), np.zeros(2), folds=5))


def test_rows_of_one_group_are_held_out_together() -> None:
    groups = np.array([f"brand {n % 17}" for n in range(200)], object)
    fold = row_folds(groups, 6, seed=0)
    assert set(fold) == set(range(6))
    assert all(len(set(fold[groups == name])) == 1 for name in groups)
    assert (row_folds(groups, 6, seed=1) != fold).any()


def test_rows_of_one_group_alone_are_divided() -> None:
    fold = row_folds(np.zeros(30), 3, seed=0)
    assert np.bincount(fold).tolist() == [10, 10, 10]


def test_large_groups_have_a_fold_of_their_own_and_small_ones_share() -> None:
    years = np.repeat(["2010", "2012", "2014", "2016", "2018"], [40, 600, 20, 300, 30])
    fold = even_folds(years, 3)
    members = {frozenset(years[fold == number]) for number in range(3)}
    assert members == {frozenset({"2012"}), frozenset({"2016"}), frozenset({"2010", "2014", "2018"})}


def test_known_classes_new_ones_and_those_with_examples_weigh_alike() -> None:
    new = np.array([True] * 30 + [False] * 10)
    shown = np.arange(40) < 5
    weights = _weighed_alike(new, shown)
    assert np.allclose([weights[shown].sum(), weights[new & ~shown].sum(), weights[~new].sum()], 40 / 3)
    assert np.array_equal(_weighed_alike(np.zeros(5, bool), np.zeros(5, bool)), np.ones(5))


def test_a_sample_has_rows_of_every_class() -> None:
    classes = np.repeat([0, 1, 2, 3], [90_000, 9_000, 120, 3])
    places = some_of_each(classes, 5_000, seed=1)
    counts = np.bincount(classes[places])
    assert len(places) == len(set(places)) == 5_000 and (np.diff(places) > 0).all()
    assert counts[3] == 3 and counts[2] >= LEAST_ROWS and counts[1] >= LEAST_ROWS
    assert counts[0] == pytest.approx(4_500, rel=0.05)


def test_a_class_is_told_by_its_place_in_train_rows_alone() -> None:
    """Hat lies under A in training and mostly under B in the test; of a class without train rows the first counts."""
    paths = (("A", "Hat"), ("B", "Hat"), ("C", "Kite"), ("D", "Kite"))
    graph = CategoryGraph(("master", "type"), ("Hat", "Kite"), paths, (3, 1, 0, 0))
    assert class_paths(graph, ["Kite", "Hat"]) == ["Kite, C", "Hat, A"]
    assert class_families(graph, ["Kite", "Hat"]).tolist() == ["C", "A"]
    flat = CategoryGraph(("type",), ("Hat", "Kite"), (("Hat",), ("Kite",)), (3, 0))
    assert class_paths(flat, ["Hat"]) == ["Hat"] and len(set(class_families(flat, ["Hat", "Kite"]))) == 2


class NoisyMaker:
    """Products whose labels are drawn at random, so that nobody can be right more often than by chance."""

    def __init__(self, takes_new: bool, products: int = 400, classes: int = 8) -> None:
        generator = np.random.default_rng(0)
        self.vocabulary = Vocabulary(classes, dim=8, text_dim=6, takes_new=takes_new)
        self.targets = generator.integers(classes, size=products)
        self.rows = np.arange(products) + 1000
        self.titles = np.array([f"brand{n % 40} thing {n}" for n in range(products)], object)
        self.years = None
        self.has_picture = self.has_title = np.ones(products, bool)
        noise = torch.Generator().manual_seed(0)
        shape = (products, classes)
        self.said = torch.randn(shape, generator=noise), torch.randn(shape, generator=noise)
        self.pairs = torch.rand(*shape, len(FIGURES), generator=noise)

    def can_learn(self, known: np.ndarray) -> bool:
        return bool(known.any())

    def episode(self, out: np.ndarray, away: np.ndarray, number: int) -> tuple[Episode, np.ndarray]:
        asked = np.flatnonzero(out | np.isin(self.targets, away))
        seen = torch.ones(len(self.vocabulary.seen), dtype=torch.bool)
        seen[away] = False
        places, (network, expert) = torch.from_numpy(asked), self.said
        similar = torch.zeros(len(asked), len(seen), 2)
        return Episode(
            {"both": network[places]}, expert[places], self.pairs[places], {"both": similar},
            torch.from_numpy(self.targets[asked]), torch.ones(len(asked)), seen, torch.zeros_like(seen),
        ), asked  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("takes_new", [False, True])
def test_held_out_answers_come_from_scorers_that_were_not_asked_about_the_brand(
    takes_new: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scorer, "STEPS", {"both": 300, "title": 1, "picture": 1})
    maker: Any = NoisyMaker(takes_new)
    held_out, count = fit_on_episodes(maker, np.arange(8).astype(str), [], seed=0)
    assert sorted(held_out.rows) == maker.rows.tolist()
    assert count == (4 if takes_new else 2) * CLASS_FOLDS
    targets = maker.targets[held_out.rows - 1000]
    kept = (held_out.logits.argmax(axis=1) == targets).mean()
    everything, _ = maker.episode(np.ones(400, bool), np.array([], int), 0)
    fitted = maker.vocabulary.scorers["both"](everything.inputs("both")).argmax(1) == everything.targets
    assert kept < 0.2  # chance is an eighth
    assert fitted.double().mean() > kept + 0.05  # what was learned by heart


class WatchedConsole(Console):
    """Keeps what each bar was last told."""

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


def test_every_step_of_teaching_a_vocabulary_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorer, "STEPS", {"both": 30, "title": 20, "picture": 10})
    maker: Any = NoisyMaker(takes_new=False)
    console = WatchedConsole()
    fit_on_episodes(maker, np.arange(8).astype(str), [], seed=0, console=console)
    assert console.last == {
        "products held out at random": (3, 3),
        "products held out by brand": (3, 3),
        "scorers of the vocabulary": (60, 60),
        "scorer 1 of 3 for held-out products": (30, 30),
        "scorer 2 of 3 for held-out products": (30, 30),
        "scorer 3 of 3 for held-out products": (30, 30),
    }


def test_too_few_products_are_told_of() -> None:
    maker: Any = NoisyMaker(takes_new=False)
    maker.can_learn = lambda known: False
    with pytest.raises(RunError, match=r"400 products of 8 classes are too few.*model\.vocabulary=closed"):
        fit_on_episodes(maker, np.arange(8).astype(str), [], seed=0)


def test_a_vocabulary_of_too_few_classes_is_refused_before_anything_is_trained(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path
) -> None:
    words = (*small_late_fusion(tiny_bert), "model.vocabulary=open", "scheme=two_stage", "split.top_k=2")
    with pytest.raises(
        SettingsError, match=r"top2: 2 classes have train rows, and model\.vocabulary=open needs 3"
    ):
        train("fusion", sample_dir, tmp_path / "run", overrides=words, cpu=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("has_new", "trained", "expected"),
    [(True, 3, "open"), (True, 2, "named"), (True, 1, "closed"), (False, 9, "named"), (False, 1, "closed")],
)
def test_auto_takes_the_vocabulary_that_the_classes_can_teach(
    has_new: bool, trained: int, expected: str
) -> None:
    params = FusionParams.model_validate({"text": {"kind": "both"}, "wide": True})
    assert params.settled(has_new, trained).vocabulary == expected
