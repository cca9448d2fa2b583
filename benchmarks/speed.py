"""All speeds of one commit: runs the benchmarks of this folder and writes docs/SPEED.md.

Usage: python benchmarks/speed.py BEFORE CATALOG WORK [--only commands,step,…] [--rounds 3]
       python benchmarks/speed.py --page

BEFORE is a checkout of an earlier commit, which commands take turns with; CATALOG the reference catalog. WORK is a
folder outside of both for runs, caches and the tables of the benchmarks: a section whose table is there already is not
measured again, so that an interrupted measurement can go on. The machine should do nothing else. --page writes the
page anew from benchmarks/speed.json; a section without a table is named as not measured.
"""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from fusionclf.files import write_json

ROOT = Path(__file__).resolve().parents[1]
RESULTS, PAGE = Path("benchmarks") / "speed.json", Path("docs") / "SPEED.md"
# What the page names in place of folders.
SHOWN = {"before": "BEFORE", "catalog": "data/fashion-small", "work": "WORK"}
PACKAGES = ("torch", "onnxruntime", "numpy")


@dataclass(frozen=True)
class Section:
    """A section of the page.

    Attributes:
        title, text: of the section: what is compared with what.
        words: after `python`, with {before}, {catalog}, {work} and {rounds} in place of what the command is given.
        writes: whether the script writes its table to a file by --markdown, or prints it.
    """

    title: str
    text: str
    words: tuple[str, ...]
    writes: bool = True


SECTIONS = {
    "commands": Section(
        "Commands, before and now",
        "Each command runs alternately in the earlier checkout and in this one, each time in a new process. Ratios are "
        "now / before,\nof wall-clock time and of processor time. Training starts with an empty cache.",
        ("benchmarks/speed_commands.py", "{before}", "{catalog}", "{work}/commands", "--rounds", "{rounds}",
         "--only", "train;linear;start;title, linear;title, fusion"),
    ),
    "predict": Section(
        "Prediction of pictures and titles, before and now",
        "Open fusion, 6,000 products, picture files and titles. New texts: no embedding is cached; cached texts: all "
        "are.\nEach checkout predicts with a run that it trained itself, so their answers differ.",
        ("benchmarks/predict_ratio.py", "{before}", "{work}/commands/fusion", "{work}/commands/products.csv",
         "{catalog}", "--before-run", "{work}/commands/before/fusion", "--rounds", "{rounds}"),
    ),
    "encoders": Section(
        "Frozen encoders against a bare matrix product",
        "One core, float32. A share near 1 leaves little to gain.",
        ("benchmarks/encoders.py", "{catalog}"),
    ),
    "step": Section(
        "Training step and prediction against the bare network",
        "ResNet50, batches of 64. The bare step has one batch in memory, and the same precision and memory format.",
        ("benchmarks/train_throughput.py", "{catalog}", "--rounds", "{rounds}"),
    ),
    "files": Section(
        "Files of up to a million products",
        "The whole command, from file to file, against the model alone on data in memory.",
        ("benchmarks/predict.py", "{catalog}", "--counts", "10000,100000,1000000"),
    ),
    "scale": Section(
        "Catalog size",
        "Time and memory of reading, splitting, picture cache and prediction.",
        ("benchmarks/scale.py", "{catalog}", "--counts", "10000,44000,200000,1000000"),
    ),
    "svm": Section(
        "The linear text model's solver against scikit-learn's LinearSVC",
        "Processor seconds on one core, at equal loss.",
        ("benchmarks/linear_svm.py", "{catalog}"),
        writes=False,
    ),
    "ray": Section(
        "Ray Data with one and two workers",
        "Against the command with one thread. [Predict on many machines](how-to/many-machines.md) has the code.",
        ("benchmarks/ray_workers.py", "{work}/commands/fusion", "{catalog}", "--rounds", "{rounds}"),
    ),
}  # fmt: skip
INTRODUCTION = """# Speed

`benchmarks/speed.py` measures everything on this page. Each section names its commit and its baseline.
[Memory](experiments/memory.md) has peak memory by products and classes, [On a GPU](GPU.md) what a GPU shows, and
[What bounds the speed](experiments/speed.md) where the time goes.

```bash
python benchmarks/speed.py BEFORE data/fashion-small WORK
```

BEFORE is a checkout of an earlier version, commit 98b4765.
"""


def measure(name: str, given: dict[str, str], work: Path) -> dict[str, str]:
    """A section's table, commit, machine and rounds; from WORK where it is there already."""
    section, file, table = SECTIONS[name], work / f"{name}.json", work / f"{name}.md"
    if not file.is_file():
        words = [word.format(**given) for word in section.words]
        written = ["--markdown", str(table)] if section.writes else []
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "FUSIONCLF_CACHE": str(work / "cache")}
        print(f"{name}: python {' '.join(words)}", file=sys.stderr, flush=True)
        done = subprocess.run(
            [sys.executable, *words, *written], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
        )
        if done.returncode:
            sys.exit(f"{name}: the benchmark ended with {done.returncode}")
        text = table.read_text(encoding="utf-8") if section.writes else done.stdout
        for place, shown in SHOWN.items():
            text = text.replace(given[place], shown)
        found = {"where": where(), "table": text.strip(), "rounds": given["rounds"]}
        write_json(file, found)
    return json.loads(file.read_text(encoding="utf-8"))


def page(found: dict[str, dict[str, str]]) -> str:
    """docs/SPEED.md of the sections' tables; each says its commit and machine."""
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        own = found.get(name)
        shown = {**SHOWN, "rounds": (own or {}).get("rounds", "3")}
        command = shlex.join(["python", *(word.format(**shown) for word in section.words)])
        body = "Not measured yet." if own is None else f"{own['where']}\n\n{own['table']}"
        parts.append(f"## {section.title}\n\n{section.text}\n\n```bash\n{command}\n```\n\n{body}\n")
    return "\n".join(parts)


def where() -> str:
    """Commit, date and machine, in one line."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    cores = len(os.sched_getaffinity(0))
    amx = "with" if " amx_tile" in _cpu_flags() else "without"
    machine = f"{cores} cores ({platform.machine()}, {amx} AMX)"
    return f"Commit {commit.stdout.strip()}, {date.today()}; {machine}; {versions}."


def _cpu_flags() -> str:
    file = Path("/proc/cpuinfo")
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is wanted, and write the page."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    for name in ("before", "catalog", "work"):
        parser.add_argument(name, type=Path, nargs="?")
    parser.add_argument("--only", default=",".join(SECTIONS), help="sections to measure")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--page", action="store_true", help="write the page alone")
    parser.add_argument("--out", type=Path, default=ROOT, help="folder below which page and JSON are written")
    options = parser.parse_args(arguments)
    results, document = options.out / RESULTS, options.out / PAGE
    found = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else {}
    if not options.page:
        if options.work is None:
            parser.error("give BEFORE, CATALOG and WORK, or --page")
        given = {name: str(getattr(options, name).resolve()) for name in ("before", "catalog", "work")}
        given["rounds"] = str(options.rounds)
        options.work.mkdir(parents=True, exist_ok=True)
        for name in options.only.split(","):
            found[name] = measure(name, given, options.work.resolve())
            results.parent.mkdir(parents=True, exist_ok=True)
            results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text(page(found), encoding="utf-8")
    print(f"wrote {document}")


if __name__ == "__main__":
    main()
