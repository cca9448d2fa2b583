"""What reaches the terminal: no text of a file steers it, no text is too long for it, none fails to be printed."""

import json
import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

from fusionclf.errors import CatalogError
from tests.cli.test_cli import NAMES, ROWS, call
from tests.small import HEADER, write_catalog

# Escape, bell, delete, C1, bidi, zero-width, line separators, byte order mark, soft hyphen.
STEERING = "\x1b[31m\x07\x7f\x9b31m\x85\u202e\u2066\u200b\u200e\u2028\u2029\ufeff\xad"
ENCODINGS = ({"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "ascii:strict"}, {"PYTHONIOENCODING": "latin-1"},
             {"PYTHONIOENCODING": "utf-8"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"})  # fmt: skip


def is_plain(text: str) -> bool:
    return all(character == "\n" or character.isprintable() for character in text)


def refused(*words: str | Path) -> str:
    result = call(*words)
    assert result.exit_code == 2 and result.stdout == "", result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and is_plain(line) and len(line) <= 400, line
    return line


def process(*words: str | Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
    command = [os.fsencode(sys.executable), b"-m", b"fusionclf", *(os.fsencode(word) for word in words)]
    return subprocess.run(command, capture_output=True, env={**os.environ, **(env or {})})


def labelled(folder: Path, label: str) -> Path:
    """A catalog whose check names the class `label`, as it has one product."""
    return write_catalog(folder, [*ROWS[:-1], ROWS[-1].replace(f",{NAMES[1][0]},", f",{label},")])


def test_header_text_cannot_steer_the_terminal(tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS, HEADER.replace("articleType", f"article{STEERING}"))
    line = refused("data", "check", data)
    assert "no column 'articleType'" in line and "article" in line.partition("columns found")[2]


@pytest.mark.parametrize("words", [
    (f"split.se{STEERING}ed=1",), (f"split.seed={STEERING}",), (f"catalog.id={STEERING}",), (f"{STEERING}",),
    ("--config", f"no{STEERING}ne"), (f"--no{STEERING}ne",), (f"catalog.file=no{STEERING}ne.csv",),
])  # fmt: skip
def test_words_of_a_command_cannot_steer_the_terminal(words: tuple[str, ...], tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    refused("data", "check", data, *words)


@pytest.mark.parametrize("text", [f"catalog: {{{'x' * 900}: 1}}", "split: {seed: " + "9" * 5000 + "}",
                                  "catalog: {id: " + "x" * 5000 + "}", f"split: {{rule: {'y' * 5000}}}"])  # fmt: skip
def test_a_long_message_keeps_its_begin_and_its_remedy(text: str, tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert "…" in refused("data", "check", data, "--config", file)


@pytest.mark.parametrize("word", ["x" * 10_000, f"{'a.' * 5000}b=1", f"catalog.id={'x' * 10_000}",
                                  f"split.rule={'random' * 2000}", f"split={'[' * 10_000}", "=" * 10_000])  # fmt: skip
def test_a_word_of_10_000_characters_is_one_short_line(word: str, tmp_path: Path) -> None:
    refused("data", "check", write_catalog(tmp_path / "catalog", ROWS), word)


def test_a_header_of_5_000_columns_is_one_short_line(tmp_path: Path) -> None:
    header = ",".join(f"column_{n}" for n in range(5000))
    data = write_catalog(tmp_path / "catalog", [",".join("x" * 5000)], header, pictures=False)
    line = refused("data", "check", data)
    assert "columns found: column_0, column_1, " in line and ", … (5,000 in all)" in line


LONG = "x" * 5000


@pytest.mark.parametrize("words", [
    ("data", "check", LONG), ("data", "sample", LONG), ("data", "check", "{data}", "--config", LONG),
    ("data", "check", "{data}", f"catalog.file={LONG}"), ("compare", LONG, "--json"), ("compare", LONG, "--out", LONG),
    ("predict", "--run", LONG, "--title", "x"), ("predict", "--run", LONG, "--input", LONG), ("export", "--run", LONG),
    ("baseline", "majority", "--data", "{data}", "--out", LONG), ("study", "--data", "{data}", "--out", LONG),
    ("study", "--data", LONG, "--out", "{data}"), ("demo", "--out", LONG), ("classes", "list", "--run", LONG),
    ("label-issues", "--run", LONG, "--out", LONG), ("train", "text", "--cpu", "--data", LONG, "--out", LONG),
], ids=lambda words: " ".join(words)[:30])  # fmt: skip
def test_a_path_too_long_for_a_file_is_one_line(words: tuple[str, ...], tmp_path: Path) -> None:
    data = write_catalog(tmp_path / "catalog", ROWS)
    refused(*(word.format(data=data) for word in words))


@pytest.mark.parametrize("label", [f"Sh{STEERING}irts", "قميص", "日本", "👕", "Größe"])
def test_tables_show_readable_text_and_steer_nothing(label: str, tmp_path: Path) -> None:
    data = labelled(tmp_path / "catalog", label)
    result = call("data", "check", data, "split.top_k=1", "split.rule=random")
    assert is_plain(result.stdout + result.stderr), result.output
    if label.isprintable():
        assert label in result.stdout


@pytest.mark.parametrize("label", [f"Sh{STEERING}irts", "日本"])
def test_json_on_a_terminal_is_escaped_and_reads_back(label: str, tmp_path: Path) -> None:
    data = labelled(tmp_path / "catalog", label)
    result = call("data", "check", data, "--json", "split.top_k=1", "split.rule=random")
    assert result.stdout.isascii() and is_plain(result.stdout)
    if label.isprintable():
        assert label in json.dumps(json.loads(result.stdout), ensure_ascii=False)


@pytest.mark.slow
@pytest.mark.parametrize("env", ENCODINGS, ids=str)
def test_no_encoding_of_the_terminal_stops_a_table(env: dict[str, str], tmp_path: Path) -> None:
    data = labelled(
        tmp_path / os.fsdecode(b"cata\xfflog"), "日本 👕"
    )  # a class, and a file name that is not Unicode
    found = process("data", "check", data, "split.rule=random", env=env)
    assert found.returncode == 0 and b"Traceback" not in found.stderr, found.stderr
    assert b"usable" in found.stdout and b"next: fusionclf baseline linear --data" in found.stderr


@pytest.mark.slow
@pytest.mark.parametrize("env", ENCODINGS, ids=str)
def test_no_encoding_of_the_terminal_stops_an_error(env: dict[str, str], tmp_path: Path) -> None:
    name = os.fsdecode(b"no\xff\xe6\x97\xa5ne")
    found = process("data", "check", tmp_path / name, env=env)
    (line,) = found.stderr.splitlines()
    assert found.returncode == 2 and line.startswith(b"error: ") and b"no such folder" in line


def test_help_is_printed_where_the_terminal_is_ascii() -> None:
    found = process("train", "--help", env={"PYTHONIOENCODING": "ascii:strict"})
    assert found.returncode == 0 and b"Usage" in found.stdout and found.stderr == b""


@pytest.mark.slow
def test_a_librarys_warning_is_one_printable_line(tmp_path: Path) -> None:
    text = f"odd {STEERING}\ncell"
    code = (
        "import sys, warnings, fusionclf.workflows.data as data\n"
        f"data.data_check = lambda *_: warnings.warn({text!a}) or True\n"
        "sys.argv = ['fusionclf', 'data', 'check', 'x']\n"
        "from fusionclf.cli import main\n"
        "main()\n"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    first, *_ = found.stderr.splitlines()
    assert is_plain(found.stderr) and "UserWarning: odd " in first and first.endswith(" cell"), found.stderr


def test_every_control_character_is_covered() -> None:
    from fusionclf.console import printable

    kinds = ("Cc", "Cf", "Cs", "Zl", "Zp")
    steering = [chr(n) for n in range(sys.maxunicode + 1) if unicodedata.category(chr(n)) in kinds]
    assert len(steering) > 2000 and set(printable("".join(steering))) == {"?"}


def test_an_error_of_many_lines_is_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise CatalogError(f"a\n  b\r\n\x1b[2Kc{STEERING}\u2028d")

    monkeypatch.setattr("fusionclf.workflows.data.data_check", fail)
    assert refused("data", "check", tmp_path).startswith("error: a b ?[2Kc?[31m")
