"""The project's Markdown pages, their code blocks, links and headings."""

import io
import os
import re
import subprocess
import traceback
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from fusionclf.cli import app
from tests.small import IMAGE

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
    scripts = []
    for number, (language, code) in enumerate(found):
        file = folder / f"block{number}.py"
        if language == "python":
            file.write_text(code, encoding="utf-8")
        scripts.append(code if language == "bash" else f'python "{file}"')
    done = run_blocks(folder, scripts)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "work"


# Bash writes a line to descriptor {calls} for each call of fusionclf and python, and reads its exit code from {codes}.
FUNCTIONS = r"""
set -euo pipefail
call() {{
  local code
  printf '%s\0' "$PWD" "$@" >../call
  echo >&{calls}
  read -r code <&{codes}
  cat ../stdout
  cat ../stderr >&2
  return "$code"
}}
fusionclf() {{ call fusionclf "$@"; }}
python() {{
  [[ $1 != - ]] || cat >../code.py
  call python "$@"
}}
"""


def run_blocks(folder: Path, blocks: list[str]) -> subprocess.CompletedProcess[str]:
    """Blocks of bash as one script, in `folder`/work.

    This process runs what the script calls `fusionclf` and `python`, as each start of its own would import torch again.
    What it trains has a small network for pictures.
    """
    work = folder / "work"
    work.mkdir()
    (calls, calls_in), (codes, codes_in) = os.pipe(), os.pipe()
    script = "\n".join([FUNCTIONS.format(calls=calls_in, codes=codes), *blocks])
    names: dict[str, Any] = {"__name__": "__main__"}
    with (folder / "out").open("w+") as out, (folder / "err").open("w+") as err:
        bash = subprocess.Popen(
            ["bash", "-c", script], cwd=work, stdout=out, stderr=err, pass_fds=(calls_in, codes)
        )
        os.close(calls_in)
        os.close(codes)
        with os.fdopen(calls) as requests, os.fdopen(codes_in, "w", buffering=1) as answers:
            for _ in requests:
                answers.write(f"{_call(folder, names)}\n")
        code = bash.wait()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(script, code, out.read(), err.read())


def _call(folder: Path, names: dict[str, Any]) -> int:
    """The exit code of the command in `folder`/call; its output is in `folder`/stdout and stderr."""
    where, program, *words = (folder / "call").read_text(encoding="utf-8").split("\0")[:-1]
    with chdir(where):
        if program == "python":
            code, out, err = _run_python(folder, words[0], names)
        else:
            small = IMAGE if words[0] == "train" else ()
            result = CliRunner().invoke(app, [*words, *small])
            code, out, err = result.exit_code, result.stdout, result.stderr
            if result.exception and not isinstance(result.exception, SystemExit):
                err += "".join(traceback.format_exception(result.exception))
    (folder / "stdout").write_text(out, encoding="utf-8")
    (folder / "stderr").write_text(err, encoding="utf-8")
    return code


def _run_python(folder: Path, file: str, names: dict[str, Any]) -> tuple[int, str, str]:
    """Exit code and output of a file of Python, or of standard input (`-`). Files share `names`."""
    code, own = (folder / "code.py", {"__name__": "__main__"}) if file == "-" else (Path(file), names)
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # for files that short scripts do not close
        try:
            exec(compile(code.read_text(encoding="utf-8"), str(code), "exec"), own)
        except Exception:
            return 1, out.getvalue(), err.getvalue() + traceback.format_exc()
    return 0, out.getvalue(), err.getvalue()
