"""The project's Markdown pages, their code blocks, links and headings."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_blocks(text: str, language: str) -> list[str]:
    """The fenced code of one language, in the order of the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def without_code(text: str) -> str:
    """A page's text without fenced and inline code."""
    return re.sub(r"`[^`]*`", "", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))


def links(text: str) -> list[str]:
    """Targets of links and pictures that lie in the repository."""
    found = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    found += re.findall(r"(?:src|href|srcset)=\"([^\"]+)\"", text)
    return [target for target in found if not target.startswith(("http://", "https://", "mailto:"))]


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def run_page(folder: Path, page: str) -> Path:
    """The folder in which a page's blocks of bash and Python ran, in their order; blocks of Python share their names.

    A command stops the test where it fails.
    """
    found = re.findall(r"^```(bash|python)\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    scripts, earlier = [], ""
    for number, (language, code) in enumerate(found):
        if language == "bash":
            scripts.append(code)
            continue
        (folder / f"block{number}.py").write_text(earlier + code, encoding="utf-8")
        scripts.append(f'python "{folder}/block{number}.py"')
        earlier += code
    done = run_blocks(folder, scripts)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "work"


def run_blocks(folder: Path, blocks: list[str]) -> subprocess.CompletedProcess[str]:
    """Blocks of bash as one script, by the Python and the fusionclf that run this test."""
    tools = folder / "tools"
    tools.mkdir()
    for name, words in (("python", ""), ("fusionclf", "-m fusionclf ")):
        (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        (tools / name).chmod(0o755)
    script = "\n".join(["set -euo pipefail", *blocks])
    environment = os.environ | {
        "PATH": f"{tools}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "FUSIONCLF_CACHE": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
    }
    work = folder / "work"
    work.mkdir()
    return subprocess.run(
        ["bash", "-c", script], cwd=work, env=environment, capture_output=True, text=True, timeout=300
    )
