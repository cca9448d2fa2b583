"""`explain`: each figure is what leaving that piece out does, for every kind of run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import fusionclf
from fusionclf.batches import PictureCache
from fusionclf.catalog import Catalog
from fusionclf.cli import app
from fusionclf.errors import PredictionError, SettingsError
from fusionclf.explanation import Explanation, explain
from fusionclf.prediction import Predictor
from tests.runs import Runs


class Rule:
    """A model that can be foretold: how much white the picture's top left quarter has, and whether a shoe is named."""

    classes: tuple[str, ...] = ("Shoe", "Other")
    cover: tuple[int, int] | None = (40, 30)
    reads_titles = True

    def probabilities(self, pictures: PictureCache | None, titles: Sequence[str]) -> np.ndarray:
        assert pictures is not None
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


def test_each_figure_is_the_fall_of_the_probability() -> None:
    said = explain(Predictor(Rule(), "joint", {}), white_corner(), "blue  shoe bag", label="Shoe", cells=4)
    assert said.probability == pytest.approx(0.75)
    assert [word.text for word in said.words] == ["blue", "shoe", "bag"]
    assert [said.title[word.start : word.end] for word in said.words] == ["blue", "shoe", "bag"]
    assert [word.counted for word in said.words] == pytest.approx([0, 0.3, -0.05])
    assert said.cells is not None and said.cells.shape == (4, 3)
    # Of the middle column half a cell is white: 15 of 30 pixels are, and a column has 10.
    top = np.array([0.4 * 100 / 300, 0.4 * 50 / 300, 0])
    assert said.cells == pytest.approx(np.stack([top, top, 0 * top, 0 * top]))
    assert said.modalities["picture"].counted == pytest.approx(0.4)
    assert said.modalities["picture"].label == "Other"
    assert said.modalities["picture"].probability == pytest.approx(0.65)
    assert said.modalities["title"].counted == pytest.approx(0.25)


def test_another_class_than_the_answer_can_be_explained() -> None:
    predictor = Predictor(Rule(), "joint", {})
    shoe, other = (explain(predictor, white_corner(), "shoe", label=name) for name in ("Shoe", "Other"))
    assert (shoe.label, other.label, shoe.answer, other.answer) == ("Shoe", "Other", "Shoe", "Shoe")
    assert shoe.words[0].counted == pytest.approx(0.3)
    assert other.words[0].counted == pytest.approx(-0.3)


def test_a_long_title_is_left_out_in_runs_of_words() -> None:
    title = " ".join(["word"] * 500 + ["shoe"])
    said = explain(Predictor(Rule(), "joint", {}), white_corner(), title, label="Shoe", cells=1)
    assert len(said.words) == 64
    assert said.words[-1].text.endswith("word shoe")
    assert [word.counted for word in said.words] == pytest.approx([0] * 63 + [0.3])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linear", "frozen", "multitask", "text", "sentences", "fusion", "open"])
def test_every_kind_of_run_is_explained(name: str, runs: Runs, sample: Catalog, tmp_path: Path) -> None:
    predictor = fusionclf.load(runs(name), device="cpu")
    picture, title = sample.picture_paths(np.array([3]))[0], sample.table["title"].iloc[3]
    said = explain(predictor, picture, title, cells=3)
    answer = predictor.predict([picture], [title])
    assert said.label == answer.labels[0][0]
    assert said.probability == pytest.approx(answer.probabilities[0, 0], abs=0.02)
    assert (said.cells is not None) == predictor.reads_pictures
    assert bool(said.words) == predictor.reads_titles
    given = {"picture": predictor.reads_pictures, "title": predictor.reads_titles}
    assert list(said.modalities) == [name for name, read in given.items() if read]
    alone = len(said.modalities) == 1
    assert all((whole.counted is None) == alone for whole in said.modalities.values())
    check_saved(said, tmp_path)


def check_saved(said: Explanation, folder: Path) -> None:
    said.save(folder)
    assert sorted(file.name for file in folder.iterdir()) == ["explanation.json", "explanation.png"]
    with Image.open(folder / "explanation.png") as drawn:
        assert drawn.size[0] == 720
        colours = {colour for _, colour in drawn.convert("RGB").getcolors(2**24) or ()}
    assert len(colours) > 10
    assert json.loads((folder / "explanation.json").read_text()) == said.to_json()


def test_the_cell_that_counted_is_the_coloured_one() -> None:
    said = explain(Predictor(Rule(), "joint", {}), white_corner(), "shoe", label="Shoe", cells=4)
    drawn = np.asarray(said.draw()).astype(int)
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
