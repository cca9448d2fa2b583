"""`fusionclf.load(run).predict(…)`: the run's own answers, what is missing, what is refused."""

import doctest
import json
import os
import re
import shutil
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

import fusionclf
from fusionclf.catalog import Catalog
from fusionclf.errors import PredictionError, RunError, SettingsError
from fusionclf.explanation import explain
from fusionclf.models.added_classes import AddedClass, write_added
from fusionclf.prediction import predictor
from fusionclf.prediction.answers import LEAST_PROBABILITY
from fusionclf.prediction.io.products import align_inputs
from tests.runs import RUNS, Runs

PARTS = [(name, "rest" if name == "image" else "joint") for name in RUNS]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_runs_test_products_get_the_predictions_of_the_run(
    name: str, part: str, runs: Runs, sample: Catalog
) -> None:
    expected = runs.predictions(name, part)
    products = sample.table.set_index("id").loc[expected["id"]]
    images: list = [sample.root / picture for picture in products["picture"]]
    loaded = fusionclf.load(runs(name), part=part, device="cpu")
    with Image.open(images[0]) as opened:
        found = loaded.predict([opened, *images[1:]], products["title"].tolist())
    frame = found.to_frame()
    assert frame["label_1"].tolist() == expected["label_1"].tolist()
    ranks = range(1, 6)
    probabilities = frame[[f"prob_{rank}" for rank in ranks]].to_numpy()
    assert np.allclose(probabilities, expected[[f"prob_{rank}" for rank in ranks]].to_numpy(), atol=1e-3)
    for column in ("picture_status", "title_status"):
        assert frame[column].tolist() == expected[column].tolist()
    paths = sample.table.groupby("label")[["masterCategory", "subCategory"]].first()
    assert found.paths[0] in {tuple(row) for row in paths.itertuples(index=False)}
    assert frame["path"].str.contains(" > ").all()
    accepted = frame["prob_1"] >= LEAST_PROBABILITY  # an untrained network's probabilities are near chance
    assert frame["decision"].tolist() == np.where(accepted, "accept", "abstain").tolist()


def aligned(images: Any, titles: Any) -> tuple[list[Any], list[str]]:
    """Pictures and titles as the predictor takes them."""
    pictures, fields = align_inputs(images, titles)
    return pictures, fields["title"].tolist()


def test_columns_and_arrays_are_taken_as_lists_are() -> None:
    titles, images = ["Red Dress", None, ""], ["a.jpg", None, "c.jpg"]
    column: Any = pd.Series(titles, index=[7, 3, 5], dtype=object)
    for values in (column, column.to_numpy()):
        assert aligned(None, values) == ([None] * 3, ["Red Dress", "", ""])
        assert aligned(images, values) == (images, ["Red Dress", "", ""])
    files: Any = pd.Series(images, index=[7, 3, 5], dtype=object)
    assert aligned(files, None) == aligned(files.to_numpy(), None) == (images, [""] * 3)
    assert aligned(None, []) == aligned([], None) == ([], [])


def test_missing_values_of_a_column_are_none() -> None:
    titles: list[Any] = [
        "Red Dress",
        float("nan"),
        pd.NA,
        None,
        pd.NaT,
        "nan",
        "<NA>",
        "",
        "NA",
        np.float32("nan"),
    ]
    expected = ["Red Dress", "", "", "", "", "", "", "", "NA", ""]
    kinds: list[Any] = [titles, pd.Series(titles, dtype=object), np.array(titles, object)]
    for values in kinds:
        assert aligned(None, values) == ([None] * 10, expected)
        pictures, texts = aligned(values, None)
        assert pictures == [title or None for title in expected] and texts == [""] * 10
    column: Any = pd.Series(["Red Dress", None, "nan"], dtype="string")
    assert aligned(None, column) == ([None] * 3, ["Red Dress", "", ""])
    with pytest.raises(PredictionError, match=r"product 1: title 7 is not a text") as caught:
        align_inputs(None, ["Red", 7, "x"])  # pyright: ignore[reportArgumentType]
    with pytest.raises(PredictionError, match=r"titles: one str; give a list, such as \['x") as caught:
        align_inputs(None, "x" * 10_000)
    assert len(str(caught.value)) < 200


def test_a_title_that_is_a_missing_value_word_is_none(runs: Runs) -> None:
    model = fusionclf.load(runs("linear"))
    answers = model.predict(titles=["Red Shirts", "nan"], errors="collect")
    assert answers.title_status == ["used", "missing"] and answers.reasons == ["", "no title"]
    with pytest.raises(PredictionError, match="no title"):
        explain(model, title="N/A")


@pytest.mark.slow
def test_one_part_of_several_has_to_be_chosen(runs: Runs) -> None:
    with pytest.raises(RunError, match="one for each of top20, rest; choose one: part='top20'"):
        fusionclf.load(runs("image"))
    with pytest.raises(RunError, match="no model of part 'resst'; did you mean 'rest'"):
        fusionclf.load(runs("image"), part="resst")
    assert fusionclf.load(runs("linear")).part == "joint"


def test_an_unfinished_or_damaged_run_is_refused(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such folder"):
        fusionclf.load(tmp_path / "nothing")
    broken = tmp_path / "broken"
    shutil.copytree(runs("linear"), broken)
    (broken / "model" / "joint.skops").write_bytes(b"no zip file")
    with pytest.raises(RunError, match=r"joint\.skops: cannot be used"):
        fusionclf.load(broken)
    (broken / "metrics.json").unlink()
    with pytest.raises(RunError, match=r"broken: not finished .* --resume"):
        fusionclf.load(broken)


def test_a_baseline_file_with_foreign_types_is_not_loaded(runs: Runs, tmp_path: Path) -> None:
    import skops.io

    broken = tmp_path / "broken"
    shutil.copytree(runs("linear"), broken)
    skops.io.dump(subprocess.Popen.wait, broken / "model" / "joint.skops")
    with pytest.raises(RunError, match=r"joint\.skops: cannot be used .*subprocess\.wait"):
        fusionclf.load(broken)


def test_a_run_without_its_category_graph_is_refused(runs: Runs, tmp_path: Path) -> None:
    broken = shutil.copytree(runs("linear"), tmp_path / "broken")
    file = broken / "model" / "graph.json"
    graph = json.loads(file.read_text())
    for row in graph["paths"]:
        row["path"] = [f"{cell} x" for cell in row["path"]]
    file.write_text(json.dumps(graph | {"classes": [f"{name} x" for name in graph["classes"]]}))
    with pytest.raises(RunError, match=r"graph\.json: lacks the class .* of labels\.json"):
        fusionclf.load(broken)
    file.unlink()
    with pytest.raises(RunError, match=r"graph\.json: no such file"):
        fusionclf.load(broken)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("variant", "nothing", "unknown variant 'nothing'"),
        ("variant", "fusion", "unknown setting"),
        ("seed", "x", "seed='x'"),
        ("largest", 10**9, "largest=1000000000"),
        ("catalog", ["id"], "catalog="),
        ("split", {"rule": "none"}, "split.rule='none'"),
    ],
)
def test_odd_settings_of_a_run_name_the_file(
    runs: Runs, tmp_path: Path, key: str, value: Any, message: str
) -> None:
    broken = shutil.copytree(runs("linear"), tmp_path / "broken")
    settings = yaml.safe_load((broken / "config.yaml").read_text())
    (broken / "config.yaml").write_text(yaml.safe_dump(settings | {key: value}))
    with pytest.raises(RunError, match=rf"config\.yaml: .*{re.escape(message)}"):
        fusionclf.load(broken)


def test_a_damaged_held_out_file_is_refused_by_column(runs: Runs, tmp_path: Path) -> None:
    broken = shutil.copytree(runs("linear"), tmp_path / "broken")
    file = broken / "held_out" / "joint.parquet"
    pd.read_parquet(file).assign(prob_1="high").to_parquet(file)
    with pytest.raises(RunError, match=r"held_out/joint\.parquet: .*'prob_1'"):
        fusionclf.load(broken).predict(titles=["Red Shirt"], target_precision=0.9)


@pytest.mark.slow
def test_added_classes_of_other_widths_are_refused(runs: Runs, tmp_path: Path) -> None:
    broken = shutil.copytree(runs("open"), tmp_path / "broken")
    write_added(broken / "model", "joint", [AddedClass("Kite", (), torch.ones(3), None, 1)])
    with pytest.raises(RunError, match=r"added\.safetensors: the vectors .*'Kite' do not fit"):
        fusionclf.load(broken)
    write_added(broken / "model", "joint", [AddedClass(fusionclf.load(runs("open")).classes[0])])
    with pytest.raises(RunError, match=r"added\.safetensors: the model already has a class"):
        fusionclf.load(broken)


def test_paths_are_the_most_frequent_of_each_class(runs: Runs, sample: Catalog) -> None:
    kept = fusionclf.load(runs("linear")).paths
    assert set(kept) == set(sample.classes)
    split = json.loads((runs("linear") / "split.json").read_text())
    known = {i for part in split["ids"].values() for subset in ("train", "validation") for i in part[subset]}
    counts: dict[str, Counter[tuple[str, str]]] = defaultdict(Counter)
    columns = ("id", "label", "masterCategory", "subCategory")
    for product, label, *path in zip(*(sample.table[name] for name in columns), strict=True):
        if product in known:
            counts[label][path[0], path[1]] += 1
    assert len(counts) < len(kept)  # the others are classes without a train row
    for label, own in counts.items():
        assert own[kept[label][0], kept[label][1]] == max(own.values()), label


def test_missing_and_unreadable_pictures(runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    fusion, image = fusionclf.load(runs("fusion")), fusionclf.load(runs("image"), part="top20")
    good = sample.root / sample.table["picture"].iloc[0]
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(good.read_bytes()[:300])
    os.mkfifo(tmp_path / "pipe.jpg")  # opening it would wait for ever
    for given in (tmp_path / "pipe.jpg", tmp_path):
        with pytest.raises(PredictionError, match="no such picture"):
            fusion.predict([given], ["Red Shirt"])
    images, titles = [good, bad, None, None], ["Red Shirt", "Red Shirt", "Red Shirt", ""]
    found = fusion.predict(images, titles, errors="collect")
    assert found.picture_status == ["used", "unreadable", "missing", "missing"]
    assert found.title_status == ["used", "used", "used", "missing"]
    assert found.decisions == ["accept", "accept", "accept", "none"]
    assert found.reasons == ["", "", "", "no picture; no title"]
    assert found.labels[3] == [] and np.isnan(found.probabilities[3]).all()
    # What cannot be seen must not matter.
    assert found.probabilities[1] == pytest.approx(found.probabilities[2])
    alone = image.predict(images, titles, errors="collect")
    assert alone.decisions == ["accept", "none", "none", "none"]
    assert alone.reasons[1].startswith(f"{bad}: ") and alone.reasons[2] == "no picture"


@pytest.mark.parametrize(
    ("images", "titles", "message"),
    [
        (None, None, "neither images nor titles"),
        (["a.jpg"], ["a", "b"], "1 images and 2 titles; give both for every product"),
        (None, "Red Shirt", "titles: one str; give a list"),
        (None, [3], "product 0: title 3 is not a text"),
        ([7], ["x"], "product 0: image is a int; give a path"),
        (["nothing.jpg"], ["Red Shirt"], "product 0: nothing.jpg: no such picture"),
        ([None, None], ["Red Shirt", " "], "product 1: no picture; no title"),
    ],
)
def test_bad_input_is_refused(runs: Runs, images: list, titles: list, message: str) -> None:
    with pytest.raises(PredictionError, match=message):
        fusionclf.load(runs("fusion")).predict(images, titles)


def test_no_products_have_no_answers(runs: Runs) -> None:
    for name in ("fusion", "linear", "open"):
        found = fusionclf.load(runs(name)).predict(images=[], titles=[])
        assert len(found) == 0
        assert list(found.to_frame().columns)[:4] == ["label_1", "prob_1", "label_2", "prob_2"]


def test_top_k_and_abstaining(runs: Runs, sample: Catalog) -> None:
    loaded = fusionclf.load(runs("linear"))
    titles = sample.table["title"].tolist()[:50]
    found = loaded.predict(titles=titles, top_k=2, min_probability=0.5)
    assert found.probabilities.shape == (50, 2)
    first = found.probabilities[:, 0]
    assert found.decisions == ["accept" if p >= 0.5 else "abstain" for p in first]
    assert (first[:, None] >= found.probabilities).all()
    assert loaded.predict(titles=titles, min_probability=float(first[7])).decisions[7] == "accept"
    everything = loaded.predict(titles=titles, top_k=10_000)
    assert everything.probabilities.shape == (50, len(loaded.classes))
    assert everything.probabilities.sum(axis=1) == pytest.approx(1)
    with pytest.raises(SettingsError, match="top_k=0"):
        loaded.predict(titles=titles, top_k=0)
    with pytest.raises(SettingsError, match=r"min_probability=1\.5"):
        loaded.predict(titles=titles, min_probability=1.5)


def test_chunks_do_not_change_predictions(
    runs: Runs, sample: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded, titles = fusionclf.load(runs("text")), sample.table["title"].tolist()[:50]
    whole = loaded.predict(titles=titles)
    monkeypatch.setattr("fusionclf.prediction.predictor.CHUNK", 7)
    assert (parts := loaded.predict(titles=titles)).labels == whole.labels
    assert np.allclose(parts.probabilities, whole.probabilities, atol=1e-3)


def test_the_examples_in_docstrings_hold(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    runs("open")
    monkeypatch.chdir(runs("linear").parents[1])
    result = doctest.testmod(predictor)
    assert result.attempted > 0 and result.failed == 0


def test_nan_probabilities_give_no_answer(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = fusionclf.load(runs("linear"))
    nothing = np.full((1, len(loaded.classes)), np.nan)
    monkeypatch.setattr(loaded.model, "probabilities", lambda *_: nothing)
    found = loaded.predict(titles=["Red Shirt"])
    assert found.labels == [[]] and found.decisions == ["none"]
    assert "weights are damaged" in found.reasons[0]
