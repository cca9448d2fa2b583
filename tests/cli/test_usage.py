"""Words that no command reads: one line that names them and the remedy, nothing else, exit code 2."""

import subprocess
import sys

import pytest

from tests.cli.test_cli import all_commands, call

COMMANDS = list(all_commands())


def refused(*words: str) -> str:
    """All that the command says."""
    result = call(*words)
    assert result.exit_code == 2 and result.stdout == "", result.output
    assert result.stderr.startswith("error: ") and result.stderr.endswith("\n")
    (line,) = result.stderr.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_mistyped_option_gets_the_near_one(words: tuple[str, ...]) -> None:
    line = refused(*words, "--hlep")
    assert line.startswith("unknown option '--hlep': did you mean '--help'? allowed: --")


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_every_command_names_its_missing_options(words: tuple[str, ...]) -> None:
    line = refused(*words)
    assert (
        line.startswith("missing ")
        and " (" in line
        and line.endswith(f"; see fusionclf {' '.join(words)} --help")
    )


@pytest.mark.parametrize("group", sorted({words[0] for words in COMMANDS if len(words) > 1}))
def test_every_group_names_its_commands(group: str) -> None:
    known = ", ".join(words[1] for words in COMMANDS if words[0] == group)
    assert refused(group, "nonsense") == f"unknown command 'nonsense': allowed: {known}"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("trian", "unknown command 'trian': did you mean 'train'? allowed: train, baseline, predict, "),
        (
            "data chek DIR",
            "unknown command 'chek': did you mean 'check'? allowed: describe, check, apply, fetch, sample, download",
        ),
        ("classes ad", "unknown command 'ad': did you mean 'add'? allowed: add, synonyms, remove, list"),
        ("--verzion", "unknown option '--verzion': did you mean '--version'? allowed: --version, "),
        ("train image --daat=x", "unknown option '--daat': did you mean '--data'? allowed: --data, --out, "),
        ("compare run -z", "unknown option '-z': allowed: --out, --data, --json, --help"),
        ("train image --data", "option '--data' requires an argument"),
        ("train image --cpu=yes", "option '--cpu' does not take a value"),
        ("export --format onx", "option --format='onx': did you mean 'onnx'? allowed: onnx, torch"),
        ("export --format=", "option --format='': allowed: onnx, torch"),
        ("predict --run r --top-k 0", "option --top-k='0': Input should be greater than or equal to 1; see "),
        ("serve --run r --port www", "option --port='www': Input should be a valid integer"),
        ("data sample one two", "got unexpected extra argument(s) (two); see fusionclf data sample --help"),
        (
            "train --out run",
            "missing variant (fusion, image, multitask, text), --data (The catalog: its folder, or its table); see ",
        ),
        (
            "classes add --run r",
            "missing --name or --file (give one: a class, or a file of classes); see fusionclf classes",
        ),
    ],
)
def test_the_line_names_thing_value_and_remedy(words: str, expected: str) -> None:
    assert refused(*words.split(" ")).startswith(expected)


@pytest.mark.parametrize(
    "words",
    [("tra\x1b[31m\nin",), ("train", "--\x1b[31m\nx"), ("data", "sample", "a", "\x1b[31m\nb"),
     ("export", "--format", "\x1b[31m\nx")],
)  # fmt: skip
def test_typed_words_cannot_steer_the_terminal(words: tuple[str, ...]) -> None:
    assert "\x1b" not in refused(*words)


def test_a_usage_error_of_a_process_is_one_line() -> None:
    found = subprocess.run(
        [sys.executable, "-m", "fusionclf", "export", "--format", "onx"], capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert found.stderr == "error: option --format='onx': did you mean 'onnx'? allowed: onnx, torch\n"


def test_a_group_alone_shows_its_help() -> None:
    for words in ((), ("data",), ("classes",)):
        result = call(*words)
        assert "Usage: " in result.stdout and result.stderr == ""
