"""The category graph: the answered path occurs, and its probabilities fall."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionclf.catalog import Catalog
from fusionclf.catalog.records import ReadReport
from fusionclf.config import CatalogConfig
from fusionclf.errors import RunError
from fusionclf.evaluation import CategoryGraph, make_predictions
from fusionclf.evaluation import category_graph as graph_module
from fusionclf.evaluation.hierarchy import hierarchy
from fusionclf.evaluation.predictions import CONTEXT

# Free Gifts lies under two masters, Wallets under two subcategories.
PATHS = (
    ("Accessories", "Bags", "Wallets"),
    ("Accessories", "Wallets", "Wallets"),
    ("Apparel", "Topwear", "Shirts"),
    ("Apparel", "Topwear", "Tunics"),
    ("Free", "Wallets", "Vouchers"),
)
GRAPH = CategoryGraph(
    ("master", "sub", "type"), ("Shirts", "Tunics", "Vouchers", "Wallets"), PATHS, (2, 5, 10, 0, 1)
)


@st.composite
def graphs(draw: st.DrawFn) -> CategoryGraph:
    depth = draw(st.integers(0, 3))
    names = st.sampled_from("abc")
    categories = st.lists(st.tuples(*[names] * depth), min_size=1, max_size=4, unique=True)
    classes = tuple("pqrst"[: draw(st.integers(1, 5))])
    paths = sorted((*each, name) for name in classes for each in draw(categories))
    counts = draw(st.lists(st.integers(0, 50), min_size=len(paths), max_size=len(paths)))
    levels = (*(f"level {n}" for n in range(depth)), "class")
    return CategoryGraph(levels, classes, tuple(paths), tuple(counts))


@given(graphs(), st.data())
def test_predicted_path_occurs_and_its_probabilities_fall(graph: CategoryGraph, data: st.DataObject) -> None:
    size = len(graph.classes)
    weights = st.lists(st.floats(0, 1), min_size=size, max_size=size)
    raw = np.array(data.draw(st.lists(weights, min_size=1, max_size=5))) + 1e-9
    probabilities = raw / raw.sum(axis=1, keepdims=True)
    found = graph.predict_paths(probabilities)
    steps = np.concatenate([np.ones((len(raw), 1)), found.category_probs, found.path_prob[:, None]], axis=1)
    assert (np.diff(steps, axis=1) <= 0).all() and (steps >= 0).all()
    for row, number in enumerate(found.paths):
        path = graph.paths[number]
        assert path[-1] == graph.classes[probabilities[row].argmax()]
        # By hand: every class's probability, divided over its paths, summed over those that begin alike.
        joint = probabilities[row][graph.class_of] * graph.shares
        for depth in range(1, len(graph.levels)):
            same = [other[:depth] == path[:depth] for other in graph.paths]
            assert found.category_probs[row, depth - 1] == pytest.approx(joint[same].sum())
        assert found.path_prob[row] == joint[graph.class_of == graph.class_of[number]].max()


def test_shares_are_smoothed_training_counts() -> None:
    assert GRAPH.shares.tolist() == pytest.approx([3 / 9, 6 / 9, 1, 1, 1])
    assert GRAPH.best_path("Wallets") == ("Accessories", "Wallets", "Wallets")
    unseen = CategoryGraph(GRAPH.levels, GRAPH.classes, PATHS, (0, 0, 10, 0, 1))
    assert unseen.shares.tolist() == [0.5, 0.5, 1, 1, 1]
    assert unseen.best_path("Wallets") == ("Accessories", "Bags", "Wallets")  # of equal ones the first


def test_candidates_may_be_some_of_the_classes_in_any_order() -> None:
    found = GRAPH.predict_paths(np.array([[0.6, 0.4], [0.1, 0.9]]), ["Wallets", "Shirts"])
    assert [GRAPH.paths[n] for n in found.paths] == [PATHS[1], PATHS[2]]
    assert found.category_probs.tolist() == [pytest.approx([0.6, 0.4]), pytest.approx([0.9, 0.9])]
    with pytest.raises(ValueError, match="'Kurtas' is not in the category graph"):
        GRAPH.predict_paths(np.ones((1, 1)), ["Kurtas"])


def test_many_products_are_predicted_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), 50)
    whole = GRAPH.predict_paths(probabilities)
    monkeypatch.setattr(graph_module, "CHUNK", 7)
    parts = GRAPH.predict_paths(probabilities)
    for name in ("classes", "paths", "category_probs", "path_prob"):
        np.testing.assert_array_equal(getattr(parts, name), getattr(whole, name))


def test_rows_of_nan_give_nan() -> None:
    found = GRAPH.predict_paths(np.array([[np.nan] * 4, [1.0, 0, 0, 0]]))
    assert np.isnan(found.path_prob).tolist() == [True, False]
    assert np.isnan(found.category_probs[0]).all()


def test_distances_go_over_paths_that_occur() -> None:
    # Wallets and Vouchers share the subcategory Wallets, though their first paths share the root alone.
    pairs = [
        ("Shirts", "Shirts", 0),
        ("Shirts", "Tunics", 2),
        ("Wallets", "Vouchers", 2),
        ("Shirts", "Wallets", 6),
    ]
    first, second, ways = zip(*pairs, strict=True)
    assert GRAPH.distances(first, second).tolist() == list(ways)
    assert GRAPH.distances(second, first).tolist() == list(ways)
    assert GRAPH.distances([], []).tolist() == []


def test_json_and_back(tmp_path: Path) -> None:
    GRAPH.save(tmp_path / "graph.json")
    assert CategoryGraph.load(tmp_path / "graph.json") == GRAPH


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.pop("levels"), "levels"),
        (lambda v: v["paths"][0].update(rows="7"), r"paths\.0\.rows: .*'7'"),
        (lambda v: v["paths"][0].update(rows=-1), r"paths\.0\.rows: .*'-1'"),
        (lambda v: v["paths"][0].update(rows=True), r"paths\.0\.rows"),
        (lambda v: v["paths"][0].update(path="Wallets"), r"paths\.0\.path: .*'Wallets'"),
        (lambda v: v.update(levels=[]), "levels"),
        (lambda v: v.update(classes=["a", "a"]), "classes: a name occurs twice"),
        (lambda v: v.update(paths=[[[[1]]]]), r"paths\.0"),
        (lambda v: v["paths"][0]["path"].pop(), "each of the levels"),
        (lambda v: v["paths"].append(v["paths"][0]), "twice"),
        (lambda v: v["paths"].pop(), "lead to the classes"),
        (lambda v: v["classes"].pop(), "lead to the classes"),
    ],
)
def test_a_damaged_file_is_named(change, message: str, tmp_path: Path) -> None:
    value = GRAPH.to_dict()
    change(value)
    (tmp_path / "graph.json").write_text(json.dumps(value))
    with pytest.raises(RunError, match=rf"graph\.json: .*{message}.*train again with --overwrite"):
        CategoryGraph.load(tmp_path / "graph.json")


def shop(tmp_path: Path, categories: tuple[str, ...]) -> Catalog:
    rows = [
        ("1", "Shirts", "A", "T"),
        ("2", "Shirts", "A", "T"),
        ("3", "Shirts", "B", ""),
        ("4", "Ties", "A", "N"),
    ]
    table = pd.DataFrame(rows, columns=["id", "label", "master", "sub"]).assign(title="", picture="p.jpg")
    return Catalog(
        tmp_path,
        CatalogConfig(categories=categories),
        table,
        table.filter(["title"]),
        ReadReport(4),
        "c" * 64,
    )


def test_paths_of_the_whole_catalog_counts_of_some_rows(tmp_path: Path) -> None:
    graph = CategoryGraph.from_catalog(shop(tmp_path, ("master", "sub")), np.array([0, 1, 3]))
    assert graph.levels == ("master", "sub", "articleType")
    assert dict(zip(graph.paths, graph.rows, strict=True)) == {
        ("A", "N", "Ties"): 1, ("A", "T", "Shirts"): 2, ("B", "", "Shirts"): 0,
    }  # fmt: skip


def test_a_catalog_without_categories_has_a_graph_of_classes(tmp_path: Path) -> None:
    graph = CategoryGraph.from_catalog(shop(tmp_path, ()), np.array([0, 1]))
    assert graph.paths == (("Shirts",), ("Ties",))
    found = graph.predict_paths(np.array([[0.3, 0.7]]))
    assert (found.category_probs.shape, found.path_prob.tolist()) == ((1, 0), [0.7])
    assert graph.distances(["Shirts", "Ties"], ["Ties", "Ties"]).tolist() == [2, 0]
    assert CategoryGraph.from_dict(graph.to_dict()) == graph


def context(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    known = {name: [0] * len(rows) for name in CONTEXT} | {"id": [str(n) for n in range(len(rows))]}
    names = ("true_category_1", "true_category_2", "label")
    return pd.DataFrame(known | {name: [row[n] for row in rows] for n, name in enumerate(names)})


def test_predictions_hold_the_true_and_the_predicted_path() -> None:
    frame = make_predictions(
        context([PATHS[0], PATHS[2]]),
        GRAPH.classes,
        np.array([[0, 0, 0.2, 0.8], [0.1, 0.9, 0, 0]]),
        graph=GRAPH,
    )
    assert frame[["true_category_1", "true_category_2"]].to_numpy().tolist() == [
        list(PATHS[0][:2]),
        list(PATHS[2][:2]),
    ]
    assert frame[["category_1", "category_2"]].to_numpy().tolist() == [list(PATHS[1][:2]), list(PATHS[3][:2])]
    assert frame["category_prob_1"].tolist() == pytest.approx([0.8, 1.0])
    assert frame["path_prob"].tolist() == pytest.approx([0.8 * 6 / 9, 0.9])


def test_accuracy_at_each_level_and_distance_of_errors() -> None:
    answers = [3, 1, 0, 2, 3]
    rows = [PATHS[0], PATHS[2], PATHS[2], PATHS[0], PATHS[2]]
    frame = make_predictions(context(rows), GRAPH.classes, np.eye(4)[answers], graph=GRAPH)
    # Wallets right, by another subcategory; Tunics for Shirts; right; Vouchers for Wallets; Wallets for Shirts.
    assert hierarchy(frame, GRAPH) == {
        "n": 5,
        "levels": [
            {"column": "master", "top1": pytest.approx(60)},
            {"column": "sub", "top1": pytest.approx(40)},
            {"column": "type", "top1": pytest.approx(40)},
        ],
        "errors": 3,
        "distance": pytest.approx((2 + 2 + 6) / 3),
        "histogram": {"2": 2, "6": 1},
    }


def test_a_category_of_that_name_below_another_one_is_not_right() -> None:
    # Vouchers answered as Wallets: both lie below a subcategory Wallets, of different masters.
    frame = make_predictions(context([PATHS[4]]), GRAPH.classes, np.eye(4)[[3]], graph=GRAPH)
    assert frame["category_2"].tolist() == frame["true_category_2"].tolist() == ["Wallets"]
    assert [level["top1"] for level in hierarchy(frame, GRAPH)["levels"]] == [0.0, 0.0, 0.0]
