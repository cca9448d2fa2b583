"""Classes that a trained run never saw: for one prediction, or kept with the run."""

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import fusionclf
from fusionclf.cli import app
from fusionclf.errors import PredictionError, RunError, SettingsError
from fusionclf.models import StackedClassifier
from fusionclf.models.open_vocabulary.stacked_head import StackedHead
from fusionclf.prediction import DecisionRule, RunModel
from fusionclf.prediction.class_files import read_classes
from fusionclf.prediction.class_names import parse_class
from fusionclf.prediction.io.products import Product
from fusionclf.workflows.classes import add_class, list_classes, remove_class
from fusionclf.workflows.predict import Request, predict, predict_one
from fusionclf.workflows.train import train
from tests.runs import OPEN, Runs
from tests.small import short_fitting

TITLES = ["Acme Red Zeppelin Kite", "Acme Blue Tshirts", "Acme Silver Watches"]


@pytest.fixture
def run(runs: Runs, tmp_path: Path) -> Path:
    """A copy of the open run, to change."""
    return Path(shutil.copytree(runs("open"), tmp_path / "run"))


@pytest.mark.slow
def test_a_class_is_known_by_its_name(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    before = model.predict(titles=TITLES, top_k=100)
    model.add_classes(["Toys > Zeppelin Kite"])
    after = model.predict(titles=TITLES, top_k=100)
    assert after.labels[0][0] == "Zeppelin Kite" and after.paths[0] == ("Toys",)
    # Of the classes with training rows none gains on another: their odds stay.
    network = model.open_network().model
    assert isinstance(network, StackedClassifier) and isinstance(network.head, StackedHead)
    seen = dict(zip(model.classes, network.head.facts.seen.tolist(), strict=True))
    old, new = (dict(zip(a.labels[1], a.probabilities[1], strict=True)) for a in (before, after))
    first, second = [label for label in before.labels[1] if seen[label]][:2]
    assert new[first] / new[second] == pytest.approx(old[first] / old[second], rel=1e-3)


@pytest.mark.slow
def test_only_the_named_classes_are_predicted(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    model.add_classes(["Zeppelin Kite", "Watches"], only=True)
    answers = model.predict(titles=TITLES)
    assert [set(names) for names in answers.labels] == [{"Zeppelin Kite", "Watches"}] * 3
    assert answers.labels[2][0] == "Watches"
    assert np.allclose(answers.probabilities.sum(axis=1), 1)


@pytest.mark.slow
def test_classes_can_be_restricted_again_and_extended(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    everything = model.predict(titles=TITLES, top_k=100)
    model.add_classes(["Zeppelin Kite", "Watches", "Tshirts"], only=True)
    model.add_classes(["Tshirts", "Watches"], only=True)
    model.add_classes(["Toys > Sledge", "Sledge"])
    assert model.classes == ("Tshirts", "Watches", "Sledge")
    answers = model.predict(titles=TITLES)
    assert [set(names) for names in answers.labels] == [set(model.classes)] * 3
    found = dict(zip(answers.labels[1], answers.probabilities[1], strict=True))
    of_all = dict(zip(everything.labels[1], everything.probabilities[1], strict=True))
    assert found["Tshirts"] / found["Watches"] == pytest.approx(
        of_all["Tshirts"] / of_all["Watches"], rel=1e-3
    )


@pytest.mark.slow
def test_restricted_classes_have_no_target_precision(run: Path) -> None:
    model = fusionclf.load(run, device="cpu")
    model.add_classes(["Zeppelin Kite", "Watches"], only=True)
    with pytest.raises(SettingsError, match="all classes as candidates"):
        model.predict(titles=TITLES, target_precision=0.98)


@pytest.mark.slow
def test_an_added_class_stays_with_the_run_until_it_is_removed(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add_class(RunModel(run, cpu=True), "Toys > Zeppelin Kite")
    assert fusionclf.load(run, device="cpu").predict(titles=TITLES[:1]).labels[0][0] == "Zeppelin Kite"
    list_classes(run)
    assert "Zeppelin Kite" in capsys.readouterr().out
    with pytest.raises(PredictionError, match="'Zeppelin Kite' already"):
        add_class(RunModel(run, cpu=True), "Zeppelin Kite")
    with pytest.raises(PredictionError, match=r"'Zepelin Kite' was added.*did you mean 'Zeppelin Kite'"):
        remove_class(run, "Zepelin Kite")
    remove_class(run, "Zeppelin Kite")
    assert "Zeppelin Kite" not in fusionclf.load(run, device="cpu").classes


@pytest.mark.slow
def test_examples_become_prototypes(run: Path, sample_dir: Path, tmp_path: Path) -> None:
    with (sample_dir / "styles.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == 10][:5]
    few = tmp_path / "few.csv"
    with few.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([*rows, ["nothing", *[""] * 9]])
    new = add_class(RunModel(run, cpu=True), "Zeppelin Kite", examples=few, pictures=sample_dir)
    assert new.count == 4  # the header is none, nor is the row that has neither picture nor title
    model = fusionclf.load(run, device="cpu").open_network().model
    assert isinstance(model, StackedClassifier) and isinstance(model.head, StackedHead)
    prototypes = model.head.prototypes
    assert prototypes.available.sum() == 1
    assert prototypes.title[-1].norm() == pytest.approx(1, abs=1e-4)
    assert prototypes.features[-1].norm() == pytest.approx(1, abs=1e-4)


@pytest.mark.slow
def test_a_file_of_classes_for_one_prediction(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listing = tmp_path / "classes.txt"
    listing.write_text("# new this season\nToys > Zeppelin Kite\n\nYo-yo\n")
    predict_one(RunModel(run, cpu=True), Product(title=TITLES[0]), rule=DecisionRule(2), classes=listing)
    assert "Zeppelin Kite" in capsys.readouterr().out.splitlines()[1]
    products = tmp_path / "products.csv"
    products.write_text("id,productDisplayName\n1,Acme Red Zeppelin Kite\n")
    out = tmp_path / "out.csv"
    predict(Request(run, products, out, classes=listing), cpu=True)
    assert "Zeppelin Kite" in out.read_text()
    with pytest.raises(PredictionError, match="--classes FILE"):
        predict(Request(run, products, tmp_path / "other.csv", only=True), cpu=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_taxonomy_gives_ids_in_each_format(run: Path, tmp_path: Path, kind: str) -> None:
    (tmp_path / "classes.txt").write_text("7 - Toys > Zeppelin Kite\n8 - Apparel > Topwear > Tshirts\n")
    (tmp_path / "products.csv").write_text(
        "id,productDisplayName\n1,Acme Red Zeppelin Kite\n2,Blue Tshirts\n"
    )
    out = tmp_path / f"out.{kind}"
    request = Request(
        run, tmp_path / "products.csv", out, rule=DecisionRule(1), classes=tmp_path / "classes.txt", only=True
    )
    predict(request, cpu=True)
    if kind == "jsonl":
        found = [(*row["class_ids"], *row["labels"]) for row in map(json.loads, out.read_text().splitlines())]
    else:
        table = pd.read_csv(out, dtype="str") if kind == "csv" else pd.read_parquet(out)
        found = [tuple(row) for row in table[["class_id_1", "label_1"]].astype("str").to_numpy()]
    assert found == [("7", "Zeppelin Kite"), ("8", "Tshirts")]


@pytest.mark.slow
def test_a_taxonomy_stays_with_the_run(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listing = tmp_path / "classes.txt"
    listing.write_text(
        "7 - Toys > Zeppelin Kite\n8 - Apparel > Topwear > Tshirts\n9 - Toys > Bowls\n10 - Bowls\n"
    )
    words = ["classes", "add", "--run", str(run), "--file", str(listing), "--cpu"]
    for more in (3, 0):  # a second time it adds nothing
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 0 and f"added {more} classes" in result.output
    answers = fusionclf.load(run, device="cpu").predict(titles=TITLES[:1], top_k=1000)
    assert answers.ids is not None and answers.ids[0][0] == "7"
    ids = dict(zip(answers.labels[0], answers.ids[0], strict=True))
    assert {name: number for name, number in ids.items() if number} == {
        "Zeppelin Kite": "7", "Tshirts": "8", "Toys > Bowls": "9", "Bowls": "10"
    }  # fmt: skip
    list_classes(run)
    assert re.search(r"Zeppelin Kite +7 +Toys +its name \(added\)", capsys.readouterr().out)
    remove_class(run, "Toys > Zeppelin Kite")
    assert "7" not in fusionclf.load(run, device="cpu").ids.values()


@pytest.mark.slow
def test_an_added_class_is_not_accepted_at_a_target(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "classes.txt").write_text("Toys > Flying > Soft > Small > Zeppelin Kite\n")
    (tmp_path / "products.csv").write_text("id,productDisplayName\n1,Zeppelin Kite\n")
    rule = DecisionRule(1, target_precision=0.5)
    out = tmp_path / "out.csv"
    predict(
        Request(run, tmp_path / "products.csv", out, rule=rule, classes=tmp_path / "classes.txt"), cpu=True
    )
    table = pd.read_csv(out)
    assert table["label_1"].tolist() == ["Zeppelin Kite"] and table["decision"].tolist() != ["accept"]
    assert "held-out products show nothing about the 1 added ones" in " ".join(
        capsys.readouterr().err.split()
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "0 classes"),
        ("Kite\nKite\n", r"line 2: 'Kite' occurs twice"),
        ("Toys > \n", "line 1: .*an empty name"),
        ("Kite | ", "line 1: .*an empty name"),
        ("Cummer/bund <b>", r"line 1: .*an empty name \('>' separates categories, '\|' synonyms\); write"),
        ("Ki\x07te\n", "not a class name"),
        ("K" * 201, "at most 200 characters"),
    ],
)
def test_a_bad_list_of_classes_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(PredictionError, match=problem):
        read_classes(tmp_path / "classes.txt")


@pytest.mark.parametrize(
    ("text", "name"),
    [("Apparel > Shirts", "Apparel > Shirts"), (" Apparel>Shirts ", "Apparel > Shirts"), ("Bags|Totes", "Bags|Totes"),
     ("Apparel > Shirts | tee", "Apparel > Shirts"), ("Apparel > Tops", "Tops"), ("Bags | Totes", "Bags")],
)  # fmt: skip
def test_a_class_that_is_known_is_named_in_full(text: str, name: str) -> None:
    assert parse_class(text, known=("Apparel > Shirts", "Bags|Totes")).name == name


def test_known_classes_of_a_list_are_named_in_full(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("Apparel > Shirts\nApparel > Tops\n")
    found = read_classes(tmp_path / "classes.txt", known=("Apparel > Shirts",)).classes
    assert [(new.name, new.place) for new in found] == [("Apparel > Shirts", ()), ("Tops", ("Apparel",))]


@pytest.mark.slow
def test_classes_whose_names_hold_separators(
    sample_dir: Path, tiny_bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(sample_dir, tmp_path / "catalog")
    file = tmp_path / "catalog/styles.csv"
    file.write_text(
        file.read_text().replace(",Shirts,", ",Apparel > Shirts,").replace(",Handbags,", ",Bags|Totes,")
    )
    run = tmp_path / "run"
    short_fitting(monkeypatch)
    words = tuple(word.format(bert=tiny_bert) if "{bert}" in word else word for word in OPEN)
    train("fusion", tmp_path / "catalog", run, overrides=words, cpu=True)
    for name in ("Apparel > Shirts", "Apparel>Shirts", "Bags|Totes", "Apparel > Shirts | tee"):
        with pytest.raises(PredictionError, match="already"):
            add_class(RunModel(run, cpu=True), name)
    model = fusionclf.load(run, device="cpu")
    model.add_classes(["Apparel > Shirts", "Bags|Totes", "Apparel > Kites"])
    assert sorted(set(model.classes) - set(fusionclf.load(run, device="cpu").classes)) == ["Kites"]


@pytest.mark.slow
@pytest.mark.parametrize("removed", ["Toys > Kite | glider", "Toys > Kite", "Toys>Kite", "Kite", " Kite "])
def test_a_class_is_removed_by_the_name_it_was_added_by(run: Path, removed: str) -> None:
    add_class(RunModel(run, cpu=True), "Toys > Kite | glider")
    with pytest.raises(PredictionError, match=r"no class 'Games > Kite' was added; allowed: Kite"):
        remove_class(run, "Games > Kite")
    remove_class(run, removed)
    assert "Kite" not in fusionclf.load(run, device="cpu").classes


def test_a_path_ends_in_the_name() -> None:
    new = parse_class("Toys > Outdoor > Kite")
    assert (new.name, new.place, new.text) == ("Kite", ("Toys", "Outdoor"), "Kite, Outdoor, Toys")


def test_synonyms_follow_the_name() -> None:
    new = parse_class("Toys > Kite | wind glider | zeppelin | zeppelin")
    assert (new.name, new.place, new.synonyms) == ("Kite", ("Toys",), ("wind glider", "zeppelin"))


@pytest.mark.slow
def test_a_class_is_known_by_a_synonym(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add_class(RunModel(run, cpu=True), "Toys > Kite | zeppelin glider")
    model = fusionclf.load(run, device="cpu")
    assert model.predict(titles=["Acme Red Zeppelin Glider"]).labels[0][0] == "Kite"
    list_classes(run)
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("Kite"))
    assert line.endswith("its name, 1 more (added)")


@pytest.mark.slow
def test_a_closed_run_takes_no_new_class(runs: Runs) -> None:
    with pytest.raises(RunError, match="open vocabulary"):
        add_class(RunModel(runs("fusion"), cpu=True), "Kite")
    with pytest.raises(RunError, match="open vocabulary"):
        fusionclf.load(runs("linear")).add_classes(["Kite"])
