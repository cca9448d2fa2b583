"""README and docs: links lead somewhere, commands parse, generated pages are current."""

import pkgutil
import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from baselines import find_baseline
from fusionclf.cli import app
from fusionclf.config import CatalogConfig, RunConfig, SplitConfig, load_settings
from fusionclf.config.shipped import find_config
from fusionclf.models import find_variant
from tests.docs.pages import DOCS, PAGES, ROOT, anchors, code_blocks, links, read

WRITERS = runpy.run_path(str(DOCS / "generate.py"))["PAGES"]
LANGUAGES = ("bash", "sh", "")


def names(pages: tuple[Path, ...]) -> list[str]:
    return [str(page.relative_to(ROOT)) for page in pages]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_and_anchors_lead_to_what_exists(page: Path) -> None:
    for target in links(read(page)):
        file, _, anchor = target.partition("#")
        there = (page.parent / file).resolve() if file else page
        assert there.exists(), f"{page.name} links {target}"
        assert not anchor or anchor in anchors(read(there)), f"{page.name} links {target}"


@pytest.mark.parametrize("name", WRITERS)
def test_generated_page_is_current(name: str) -> None:
    assert read(DOCS / "reference" / name) == WRITERS[name](), "run python docs/generate.py"


@pytest.mark.parametrize("folder", ["how-to", "concepts", "reference", "decisions", "experiments"])
def test_docs_index_links_every_page(folder: str) -> None:
    linked = {target.partition("#")[0] for target in links(read(DOCS / "README.md"))}
    there = {f"{folder}/{page.name}" for page in (DOCS / folder).glob("*.md")}
    assert there and there <= linked


def test_readme_has_at_most_100_lines() -> None:
    assert len(read(ROOT / "README.md").splitlines()) <= 100


def commands(page: Path) -> list[list[str]]:
    """The words after `fusionclf` of each command line of a page, comments and shell variables left out."""
    blocks = [block for language in LANGUAGES for block in code_blocks(read(page), language)]
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    split = [shlex.split(line, comments=True) for line in lines if re.match(r"(\S+=\S* )*fusionclf ", line)]
    return [
        [word for word in words if not word.startswith("${")][words.index("fusionclf") + 1 :]
        for words in split
    ]


def mentions(page: Path) -> list[str]:
    """Commands that a page's text names: `fusionclf data check …`."""
    return re.findall(
        r"`fusionclf ([^`]*)`", re.sub(r"^```.*?^```$", "", read(page), flags=re.DOTALL | re.MULTILINE)
    )


WITH_COMMANDS = [(str(page.relative_to(ROOT)), words) for page in PAGES for words in commands(page)]


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words after its name. None: help alone."""
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"unknown command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
        assert not command.hidden, f"{command.name!r} is a former name"
    return command, words


@pytest.mark.parametrize("words", [pytest.param(w, id=f"{p}: {' '.join(w)[:60]}") for p, w in WITH_COMMANDS])
def test_command_in_the_docs_parses(words: list[str]) -> None:
    command, rest = find_command(words)
    with command.make_context(command.name, rest) as context:
        check_settings(command.name, context.params)


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_command_that_a_text_names_exists(page: Path) -> None:
    for text in mentions(page):
        if not re.match(r"[A-Z…-]", text) and page.name != "CHANGELOG.md":
            find_command(text.replace("…", "").split())


def check_settings(command: str, params: dict[str, Any]) -> None:
    """Build the settings that a command would build."""
    words: list[str] = params.get("overrides") or []
    if command == "train":
        schema = RunConfig[find_variant(params["variant"]).params]
        load_settings(
            schema, find_config(params["config"]), tuple(words), variant=params["variant"], data="data"
        )
    elif command == "baseline":
        schema = find_baseline(params["name"]).settings
        load_settings(
            schema, find_config(params["config"]), tuple(words), variant=params["name"], data="data"
        )
    else:
        known = {"catalog": set(CatalogConfig.model_fields), "split": set(SplitConfig.model_fields)}
        for word in words:
            section, _, field = word.partition("=")[0].partition(".")
            assert field in known.get(section, set()), f"{word}: unknown setting"


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_page_has_no_machine_paths(page: Path) -> None:
    assert not re.search(r"(?<![\w.])/(work|home|root|tmp|mnt)/", read(page))


def test_names_of_the_python_api_page_exist() -> None:
    for name in re.findall(
        r"^\| `(fusionclf\.[\w.]+)", read(DOCS / "reference" / "python-api.md"), re.MULTILINE
    ):
        assert pkgutil.resolve_name(name), name


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_file_that_a_text_names_exists(page: Path) -> None:
    for path in re.findall(r"`((?:fusionclf|baselines|benchmarks|configs|tests)/[\w./-]+)`", read(page)):
        assert (ROOT / path).exists() or "NAME" in path, f"{page.name} names {path}"
