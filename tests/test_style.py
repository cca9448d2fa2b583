"""Limits of DESIGN: lengths of names, files and parameter lists, and words that no name uses."""

import ast
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST_TEST_NAME, MOST_PARAMETERS, MOST_LINES = 60, 7, 300
PRIVATE_WORDS = {"asked", "told", "said", "at_hand", "of_titles", "of_pictures"}


def python_files(*folders: str) -> list[Path]:
    """All Python files below the folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Names of the parameters, without self and cls."""
    arguments = function.args
    named = [
        *arguments.posonlyargs,
        *arguments.args,
        *arguments.kwonlyargs,
        arguments.vararg,
        arguments.kwarg,
    ]
    return [name.arg for name in named if name is not None and name.arg not in ("self", "cls")]


def test_test_names_are_short() -> None:
    names = [f.name for path in python_files("tests") for f in functions(path) if f.name.startswith("test_")]
    assert [name for name in names if len(name) > LONGEST_TEST_NAME] == []


def test_functions_have_few_parameters() -> None:
    long = {
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}": len(parameters(function))
        for path in python_files("fusionclf", "baselines", "benchmarks")
        for function in functions(path)
        if len(parameters(function)) > MOST_PARAMETERS
    }
    assert long == {}


def test_files_are_short() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in python_files("fusionclf", "baselines", "benchmarks", "tests", "docs")
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_name_is_a_private_word() -> None:
    found = []
    for path in python_files("fusionclf", "baselines", "benchmarks", "tests"):
        with tokenize.open(path) as file:
            for token in tokenize.generate_tokens(file.readline):
                if token.type == tokenize.NAME and token.string.lower() in PRIVATE_WORDS:
                    found.append(f"{path.relative_to(ROOT)}:{token.start[0]} {token.string}")
    assert found == []


@pytest.mark.parametrize("source", ["def f(self, a, *, b=1): ...", "async def f(a, **b): ..."])
def test_parameters_leave_out_self(source: str) -> None:
    (function,) = ast.parse(source).body
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    assert parameters(function) == ["a", "b"]
