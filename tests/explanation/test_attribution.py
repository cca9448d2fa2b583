"""`explain`: each value is the drop of the probability without that piece, for every kind of run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

import fusionclf
from fusionclf.batches import PictureCache
from fusionclf.catalog import Catalog
from fusionclf.catalog.fields import Fields
from fusionclf.cli import app
from fusionclf.errors import PredictionError, SettingsError
from fusionclf.explanation import Explanation, explain
from fusionclf.prediction import Predictor
from fusionclf.prediction.model import FixedClasses
from tests.runs import Runs


class Rule(FixedClasses):
    """A simple rule: how white the top left quarter of the picture is, and whether the title has "shoe"."""

    classes: tuple[str, ...] = ("Shoe", "Other")
    cover: tuple[int, int] | None = (40, 30)
    reads_titles = True
    fields = Fields()

    @property
    def tasks(self) -> dict[str, tuple[str, ...]]:
        return {"label": self.classes}

    def task_probabilities(
        self, pictures: PictureCache | None, fields: pd.DataFrame
    ) -> dict[str, np.ndarray]:
        return {"label": self.probabilities(pictures, fields)}

    def probabilities(self, pictures: PictureCache | None, fields: pd.DataFrame) -> np.ndarray:
        assert pictures is not None
        titles = fields["title"].tolist()
        found = []
        for row, title in enumerate(titles):
            white = 0.0
            if pictures.readable(np.array([row]))[0]:
                shown = pictures.picture(row)
                height, width, _ = shown.shape
                white = (shown[: height // 2, : width // 2] == 255).mean()
            found.append(0.1 + 0.4 * white + 0.3 * ("shoe" in title) - 0.05 * ("bag" in title))
        return np.stack([found, 1 - np.array(found)], axis=1)


def white_corner() -> Image.Image:
    picture = Image.new("RGB", (30, 40), "black")
    picture.paste((255, 255, 255), (0, 0, 15, 20))
    return picture


def test_each_value_is_the_drop_of_the_probability() -> None:
    found = explain(Predictor(Rule(), "joint", {}), white_corner(), "blue  shoe bag", label="Shoe", cells=4)
    assert found.probability == pytest.approx(0.75)
    assert [word.text for word in found.words] == ["blue", "shoe", "bag"]
    assert [found.title[word.start : word.end] for word in found.words] == ["blue", "shoe", "bag"]
    assert [word.drop for word in found.words] == pytest.approx([0, 0.3, -0.05])
    assert found.cells is not None and found.cells.shape == (4, 3)
    # Of the middle column half a cell is white: 15 of 30 pixels are, and a column has 10.
    top = np.array([0.4 * 100 / 300, 0.4 * 50 / 300, 0])
    assert found.cells == pytest.approx(np.stack([top, top, 0 * top, 0 * top]))
    assert found.modalities["picture"].drop == pytest.approx(0.4)
    assert found.modalities["picture"].label == "Other"
    assert found.modalities["picture"].probability == pytest.approx(0.65)
    assert found.modalities["title"].drop == pytest.approx(0.25)


def test_another_class_than_the_answer_can_be_explained() -> None:
    predictor = Predictor(Rule(), "joint", {})
    shoe, other = (explain(predictor, white_corner(), "shoe", label=name) for name in ("Shoe", "Other"))
    assert (shoe.label, other.label, shoe.answer, other.answer) == ("Shoe", "Other", "Shoe", "Shoe")
    assert shoe.words[0].drop == pytest.approx(0.3)
    assert other.words[0].drop == pytest.approx(-0.3)


def test_pieces_of_a_long_title_are_runs_of_words() -> None:
    title = " ".join(["word"] * 500 + ["shoe"])
    found = explain(Predictor(Rule(), "joint", {}), white_corner(), title, label="Shoe", cells=1)
    assert len(found.words) == 64
    assert found.words[-1].text.endswith("word shoe")
    assert [word.drop for word in found.words] == pytest.approx([0] * 63 + [0.3])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "frozen", "multitask", "text", "sentences", "fusion", "open"])
def test_every_kind_of_run_is_explained(name: str, runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    predictor = fusionclf.load(runs(name), device="cpu")
    picture, title = sample.picture_paths(np.array([3]))[0], sample.table["title"].iloc[3]
    found = explain(predictor, picture, title, cells=3)
    answer = predictor.predict([picture], [title])
    assert found.label == answer.labels[0][0]
    assert found.probability == pytest.approx(answer.probabilities[0, 0], abs=0.02)
    assert (found.cells is not None) == predictor.reads_pictures
    assert bool(found.words) == predictor.reads_titles
    given = {"picture": predictor.reads_pictures, "title": predictor.reads_titles}
    assert list(found.modalities) == [name for name, read in given.items() if read]
    alone = len(found.modalities) == 1
    assert all((whole.drop is None) == alone for whole in found.modalities.values())
    check_saved(found, tmp_path)


def check_saved(found: Explanation, folder: Path) -> None:
    found.save(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["explanation.json", "explanation.png"]
    with Image.open(folder / "explanation.png") as drawn:
        assert drawn.size[0] == 720
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(2**24) or ()}
    assert len(colours) > 10
    assert json.loads((folder / "explanation.json").read_text()) == found.to_json()


def test_the_cell_with_a_drop_is_coloured() -> None:
    found = explain(Predictor(Rule(), "joint", {}), white_corner(), "shoe", label="Shoe", cells=4)
    drawn = np.asarray(found.draw()).astype(int)
    beside = drawn[
        : 24 + 8 + 2 * 20 + 440, 20 + 330 + 20 : 20 + 330 + 20 + 330
    ]  # the picture under its colours
    orange = (beside[..., 0] > beside[..., 2] + 60).nonzero()
    assert orange[0].max() < 72 + 440 / 2 and orange[1].max() < 330 * 2 / 3


def test_hostile_text_is_drawn_and_printed_as_text(runs: Runs, tmp_path: Path) -> None:
    title = "\x1b[31mred[/]\u202e " + "x" * 5000 + " 鞋 &<b>"
    result = call("--run", runs("linear"), "--title", title, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.stdout and "\u202e" not in result.stdout
    assert (tmp_path / "out" / "explanation.png").is_file()
    assert "\x1b" not in call("--run", runs("linear"), "--title", title, "--json").stdout


def call(*words: object) -> Any:
    return CliRunner().invoke(app, ["explain", *map(str, words)])


def test_bad_requests_are_one_line(runs: Runs, tmp_path: Path) -> None:
    assert "--title" in refused("--run", runs("linear"))
    assert "no title" in refused("--run", runs("linear"), "--title", " ")
    assert "did you mean" in refused("--run", runs("linear"), "--title", "shirt", "--label", "Shirt")
    assert "no such picture" in refused("--run", runs("frozen"), "--image", tmp_path / "none.jpg")
    predictor = fusionclf.load(runs("linear"))
    with pytest.raises(SettingsError, match="cells=0"):
        explain(predictor, title="shirt", cells=0)
    with pytest.raises(PredictionError, match="no title"):
        explain(predictor)


def refused(*words: object) -> str:
    result = call(*words)
    assert result.exit_code == 2, result.output
    return result.stderr.splitlines()[-1]
