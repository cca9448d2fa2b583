"""Kills each command before every change that it makes to its output, gives it again, and compares the outcome.

    python -m benchmarks.kill_everywhere [--points N] [--only NAME ...]

A change is a file opened for writing, a rename, a removal, a new folder, a changed mode, or a call into a library that
writes without Python (safetensors, Parquet, tokenizers); the latter are killed half-way through the file, too. Every
kill is a SIGKILL in a forked process. The same command, with --resume where it has that option, must then leave what an
uncut one leaves: the same files, with the same content but for times. Exit code 1 where one does not.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: what is forked must have no threads

import argparse
import contextlib
import gc
import importlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.fuzzing import Outcome, run_case, run_command
from benchmarks.killing import Changes, first_difference, names
from benchmarks.tiny_bert import write_tiny_bert
from fusionclf.catalog import generate_sample

SECONDS, MEBIBYTES = 1800.0, 4096.0


@dataclass(frozen=True)
class Scenario:
    """A command to kill.

    Attributes:
        words: the command.
        again: what is added when it is given again.
        complete: what it may then be refused with, where it was killed after all was in place.
        before: copies of these (source, name below the box) are there first.
        needs: what must be made before, beside the sources of `before`.
        most: kills at most, for a command that takes long; None for one before every change.
    """

    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    complete: str | None = None
    before: tuple[tuple[Path, str], ...] = ()
    needs: tuple[str, ...] = ()
    most: int | None = None


@dataclass
class Row:
    """What became of a command's kills."""

    points: int = 0
    equal: int = 0
    strays: int = 0
    failures: list[str] = field(default_factory=list)


def run(words: tuple[str, ...], changes: Changes | None = None, notes: Path | None = None) -> Outcome:
    """Run a command in a forked process; `notes` gets the number of changes and the modules that it imported."""

    def case() -> int:
        sys.argv = ["fusionclf", *words]
        if changes is not None:
            changes.watch()
        code = run_command(words)
        if notes is not None:
            notes.write_text(json.dumps({"changes": changes and changes.count, "modules": list(sys.modules)}))
        return code

    return run_case(case, SECONDS, MEBIBYTES)


def uncut_run(words: tuple[str, ...], notes: Path, box: Path | None = None) -> int:
    """Run a command to its end; the number of its changes below `box`.

    This process then imports what the command did, so that the next ones need not.
    """
    outcome = run(words, Changes(box, None) if box else None, notes)
    if outcome.kind != "done":
        raise SystemExit(f"fusionclf {' '.join(words)}: {outcome.kind}\n{outcome.output}")
    noted = json.loads(notes.read_text())
    for name in noted["modules"]:
        if name not in sys.modules:
            with contextlib.suppress(Exception):
                importlib.import_module(name)
    gc.freeze()  # what a fork collects garbage of is what it made itself
    return noted["changes"] or 0


def make_box(box: Path, scenario: Scenario) -> None:
    shutil.rmtree(box, ignore_errors=True)
    box.mkdir()
    for source, name in scenario.before:
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, box / name)


def kill_everywhere(scenario: Scenario, work: Path, points: int | None) -> Row:
    """Kill a command at up to `points` changes, evenly spread; all where None."""
    box, uncut = work / "box", work / "uncut"
    make_box(box, scenario)
    total = uncut_run(scenario.words, work / "notes.json", box)
    shutil.rmtree(uncut, ignore_errors=True)
    box.rename(uncut)
    row = Row()
    numbers = range(1, total + 1)
    points = min(points or total, scenario.most or total)
    if points < total:
        numbers = sorted({1 + (total - 1) * n // max(points - 1, 1) for n in range(points)})
    for number in numbers:
        make_box(box, scenario)
        cut = run(scenario.words, Changes(box, number))
        left = ", ".join(names(box))
        if cut.kind != "crash":
            row.failures.append(f"change {number}: was not killed ({cut.kind}): {cut.output[-300:]}")
            continue
        row.points += 1
        outcome = run((*scenario.words, *scenario.again))
        complete = scenario.complete is not None and scenario.complete in outcome.output
        if outcome.kind != "done" and not complete:
            row.failures.append(f"change {number}, left {left}: {outcome.kind}: {outcome.output[-400:]}")
            continue
        strays = sorted(set(names(box)) - set(names(uncut)))
        row.strays += len(strays)
        differing = first_difference(uncut, box)
        if differing:
            row.failures.append(f"change {number}, left {left}: {differing}; strays: {strays}")
        else:
            row.equal += 1
    return row


def make_encoder(folder: Path) -> int:
    """Write a text encoder, as a case of `run_case`: torch must not start threads before the forks."""
    write_tiny_bert(folder)
    return 0


def make_inputs(work: Path) -> None:
    """A catalog, a text encoder, settings files and files of products below `work`."""
    generate_sample(work / "catalog", products=200)
    lines = (work / "catalog" / "styles.csv").read_text(encoding="utf-8").splitlines()
    products = "\n".join([*lines[:150], "too,few,fields"])
    (work / "products.csv").write_text(products + "\n", encoding="utf-8")
    (work / "old.csv").write_text("old\n")
    (work / "configs").mkdir()
    settings = "scheme: joint\nmodel: {text: {buckets: 4096, dim: 16}}\ntrain: {epochs: 1}\n"
    (work / "configs" / "text.yaml").write_text(settings)
    run_case(lambda: make_encoder(work / "encoder"), SECONDS, MEBIBYTES)


def commands(work: Path) -> tuple[dict[str, tuple[str, ...]], dict[str, Scenario]]:
    """Commands that make what others need, by name, and those to kill."""
    runs, box = work / "runs", work / "box"
    data, quick = (
        ("--data", f"{work}/catalog"),
        ("model.text.buckets=4096", "model.text.dim=16", "train.epochs=1"),
    )
    small = (
        "scheme=joint", "pictures.height=32", "pictures.width=32", "model.image.backbone=resnet18",
        "model.image.weights=none", "model.fuser=late", "model.text.kind=both", "model.text.buckets=4096",
        f"model.text.model={work}/encoder", "train.epochs=2", "train.precision=fp32", "--cpu",
    )  # fmt: skip
    linear, text, fusion = (
        ("baseline", "linear", *data),
        ("train", "text", *data),
        ("train", "fusion", *data),
    )
    opened, closed = (*small, "model.vocabulary=open"), (*small, "model.vocabulary=closed")
    predict = ("predict", "--run", f"{runs}/text", "--input", f"{work}/products.csv", "--cpu", "--out")
    export = ("export", "--run", f"{runs}/text", "--products", "20", "--out")
    needed = {
        "linear": (*linear, "--out", f"{runs}/linear"),
        "text": (*text, "--out", f"{runs}/text", "--cpu", "scheme=joint", *quick),
        "open": (*fusion, "--out", f"{runs}/open", *opened),
        "export": (*export, f"{runs}/export"),
    }
    resume, again, run = ("--resume",), ("--overwrite",), ("--out", f"{box}/run")
    old = {name: runs / name for name in needed}
    answers = ((work / "old.csv", "out.csv"), (work / "old.csv", "out.errors.csv"))
    add = ("classes", "add", "--run", f"{box}/run", "--name", "Toys > Kite", "--cpu")
    known = {
        "baseline": Scenario((*linear, *run), resume),
        "baseline --overwrite": Scenario((*linear, *run, *again), before=((old["linear"], "run"),)),
        "train text": Scenario((*text, *run, "--cpu", *quick), resume),
        "train fusion": Scenario((*fusion, *run, *closed), resume),
        "train fusion, open vocabulary": Scenario((*fusion, *run, *opened), resume, most=12),
        "study": Scenario(("study", *data, "--out", f"{box}/study", "--configs", f"{work}/configs", "--cpu")),
        "predict": Scenario((*predict, f"{box}/out.csv"), resume, needs=("text",)),
        "predict, Parquet": Scenario((*predict, f"{box}/out.parquet"), resume, needs=("text",)),
        "predict --overwrite": Scenario(
            (*predict, f"{box}/out.csv", *again), resume, before=answers, needs=("text",)
        ),
        "classes add": Scenario(add, complete="has a class", before=((old["open"], "run"),)),
        "export": Scenario((*export, f"{box}/export"), complete="holds an export already", needs=("text",)),
        "export --overwrite": Scenario(
            (*export, f"{box}/export", *again), before=((old["export"], "export"),), needs=("text",)
        ),
        "compare": Scenario(
            ("compare", f"{runs}/linear", f"{runs}/text", "--out", f"{box}/report"), needs=("linear", "text")
        ),
        "audit": Scenario(("audit", "--run", f"{runs}/linear", "--out", f"{box}/audit"), needs=("linear",)),
        "data sample": Scenario(
            ("data", "sample", f"{box}/sample", "--products", "200"), complete="holds files already", most=40
        ),
    }  # fmt: skip
    return needed, known


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, help="kills of each command; default: before every change")
    parser.add_argument("--only", nargs="+", help="names of commands; default: all")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fusionclf-kill-") as folder:
        work = Path(folder).resolve()
        os.environ["FUSIONCLF_CACHE"] = str(work / "cache")
        for room in ("baseline", "train", "predict"):  # else each fork imports them
            importlib.import_module(f"fusionclf.workflows.{room}")
        make_inputs(work)
        needed, known = commands(work)
        print(
            "| command | killed | ended like an uncut one | stray files |\n| --- | ---: | ---: | ---: |",
            flush=True,
        )
        rows = {}
        for name in asked.only or known:
            for need in (*known[name].needs, *(source.name for source, _ in known[name].before)):
                if need in needed:
                    uncut_run(needed.pop(need), work / "notes.json")
            rows[name] = row = kill_everywhere(known[name], work, asked.points)
            print(f"| `{name}` | {row.points} | {row.equal} | {row.strays} |", flush=True)
    total = [sum(getattr(row, key) for row in rows.values()) for key in ("points", "equal", "strays")]
    print(f"| all | {total[0]} | {total[1]} | {total[2]} |")
    for name, row in rows.items():
        for failure in row.failures[:20]:
            print(f"--- {name}: {failure}")
    return 1 if any(row.failures for row in rows.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
