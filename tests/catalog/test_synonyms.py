"""Files of what else classes are called."""

from pathlib import Path

import pytest

from fusionclf.catalog import read_synonyms
from fusionclf.config.shipped import config_folder, find_synonyms
from fusionclf.errors import SettingsError


def test_names_are_unique_and_in_order(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("Deodorant: [body spray, deo , body spray]\nKite: []\n")
    found = read_synonyms(tmp_path / "mine.yaml")
    assert found == {"Deodorant": ("body spray", "deo"), "Kite": ()}


def test_names_are_the_text_that_is_written(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "No: [nothing, off, 1e3]\n7: [seven, lucky]\n007: [agent, 2020-01-01]\nnull: []\n"
    )
    assert read_synonyms(tmp_path / "mine.yaml") == {
        "No": ("nothing", "off", "1e3"),
        "7": ("seven", "lucky"),
        "007": ("agent", "2020-01-01"),
        "null": (),
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Deodorant: deo", r"'Deodorant': give a list"),
        ("Deodorant: [[deo]]", r"is not a name"),
        ("Deodorant: [null]", r"'None' is not a name"),
        ("Deodorant: [deo]\nDeodorant: [spray]", "line 2: key 'Deodorant' is given twice"),
        ("? [Deodorant]\n: [deo]", "line 1: a list or a mapping cannot be a key"),
        ("Deodorant: &a [deo]\nKite: *a", "anchors and aliases"),
        ("Deodorant: [a: b]", "is not a name"),
        ("Deodorant: ['']", r"'' is not a name"),
        (f"Deodorant: [{'x' * 201}]", "1 to 200 characters"),
        ('Deodorant: ["a\\x07b"]', "is not a name"),
        (f"Deodorant: [{', '.join(f'n{n}' for n in range(101))}]", "at most 100 names"),
        ("- deo", "holds list"),
    ],
)
def test_a_bad_file_is_one_line(text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(SettingsError, match=problem):
        read_synonyms(tmp_path / "mine.yaml")


def test_a_file_is_found_by_path_or_name(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("{}")
    assert find_synonyms(str(tmp_path / "mine.yaml")) == tmp_path / "mine.yaml"
    assert find_synonyms("fashion") == config_folder() / "synonyms" / "fashion.yaml"
    with pytest.raises(SettingsError, match=r"no file 'fashoin'.*did you mean 'fashion'"):
        find_synonyms("fashoin")


def test_shipped_synonyms_name_one_class_each() -> None:
    classes = read_synonyms(find_synonyms("fashion"))
    names = [name for others in classes.values() for name in others]
    assert len(names) > 1000 and len(names) == len(set(names))
    assert not set(names) & {name.lower() for name in classes}
