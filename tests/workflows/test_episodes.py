"""Which rows and classes are held out to teach an open vocabulary."""

import numpy as np

from fusionclf.workflows.episodes import _weighed_alike, even_folds, held_out_folds, row_folds


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
