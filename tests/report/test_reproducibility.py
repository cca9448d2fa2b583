"""Commands and settings without the machine's folders."""

from pathlib import Path

import pytest

from fusionclf.report.collect import read_runs
from fusionclf.report.reproducibility import clean_command, clean_text, reproducibility


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("/home/me/venv/bin/fusionclf baseline nb", "fusionclf baseline nb"),
        ("__main__.py train image --data data/x --out runs/y", "fusionclf train image --data data/x --out runs/y"),
        ("fusionclf train image --data=/secret/data model.image.weights=/secret/w.pth",
         "fusionclf train image --data=data model.image.weights=w.pth"),
        ("fusionclf compare '/my folder/a b' ~/runs/c", "fusionclf compare 'a b' c"),
        (r"fusionclf compare 'C:\secret\runs\a'", "fusionclf compare a"),
        ("fusionclf x split.group_by=title,picture key=/a/b,/c/d", "fusionclf x split.group_by=title,picture key=b,d"),
        ("fusionclf 'unclosed /secret/a", "fusionclf ''\"'\"'unclosed' a"),
        ("", ""),
    ],
)  # fmt: skip
def test_commands_name_no_folder_of_the_machine(given: str, shown: str) -> None:
    assert clean_command(given) == shown


def test_plain_words_stay() -> None:
    assert clean_text("resnet50") == "resnet50"
    assert clean_text("a/b/c") == "a/b/c"
    assert clean_text("/") == "."


def test_settings_that_differ_are_listed_with_their_runs(make_run) -> None:
    runs = read_runs([make_run("a"), make_run("b"), make_run("c", seed=3)])
    assert reproducibility(runs)["differences"] == [
        {"setting": "seed", "values": [{"value": "0", "runs": ["a", "b"]}, {"value": "3", "runs": ["c"]}]}
    ]


def test_reproducibility_of_two_runs(two_runs: list[Path]) -> None:
    found = reproducibility(read_runs(two_runs))
    assert [row["command"].split()[:3] for row in found["runs"]] == [
        ["fusionclf", "baseline", "nb"],
        ["fusionclf", "baseline", "fusion"],
    ]
    assert found["versions"] == {"python": "3.11.7", "fusionclf": "0.1.0"}
    assert found["platforms"] == ["Linux x86_64, 2 CPUs"]
