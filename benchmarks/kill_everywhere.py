"""Kills each command before every change that it makes to its output, runs it again, and compares the outcome.

    python -m benchmarks.kill_everywhere [--points N] [--only NAME ...]

A change is a file opened for writing, a rename, a removal, a new folder, a changed mode, or a call into a library that
writes without Python (safetensors, Parquet, tokenizers); the latter are killed half-way through the file, too. Every
kill is a SIGKILL in a forked process. The same command, with --resume where it has that option, must then leave what an
uninterrupted one leaves: the same files, with the same content except times. Exit code 1 where one does not.
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
        again: options added when it is run again.
        complete: error that is allowed then, where the output was complete before the kill.
        before: (source, name below the box) of files that exist before the command.
        needs: runs that must exist, beside the sources of `before`.
        most: largest number of kills, for a slow command; None for one before every change.
    """

    words: tuple[str, ...]
    again: tuple[str, ...] = ()
    complete: str | None = None
    before: tuple[tuple[Path, str], ...] = ()
    needs: tuple[str, ...] = ()
    most: int | None = None


@dataclass
class Row:
    """Outcomes of the kills of a command."""

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


def whole_run(words: tuple[str, ...], notes: Path, box: Path | None = None) -> int:
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
    box, whole = work / "box", work / "whole"
    make_box(box, scenario)
    total = whole_run(scenario.words, work / "notes.json", box)
    shutil.rmtree(whole, ignore_errors=True)
    box.rename(whole)
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
        strays = sorted(set(names(box)) - set(names(whole)))
        row.strays += len(strays)
        differing = first_difference(whole, box)
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
    settings = "scheme: single_stage\nmodel: {text: {buckets: 4096, dim: 16}}\ntrain: {epochs: 1}\n"
    (work / "configs" / "text.yaml").write_text(settings)
    run_case(lambda: make_encoder(work / "encoder"), SECONDS, MEBIBYTES)


QUICK = ("model.text.buckets=4096", "model.text.dim=16", "train.epochs=1")


def _small_fusion(work: Path) -> tuple[str, ...]:
    """Options of a quick fusion run."""
    return (
        "scheme=single_stage", "pictures.height=32", "pictures.width=32", "model.image.backbone=resnet18",
        "model.image.weights=none", "model.fuser=late", "model.text.kind=both", "model.text.buckets=4096",
        f"model.text.model={work}/encoder", "train.epochs=2", "train.precision=fp32", "--cpu",
    )  # fmt: skip


def needed_commands(work: Path) -> dict[str, tuple[str, ...]]:
    """Commands that make the runs and exports that scenarios need, by name."""
    runs, data = work / "runs", ("--data", f"{work}/catalog")
    export = ("export", "--run", f"{runs}/text", "--products", "20", "--out", f"{runs}/export")
    return {
        "linear": ("baseline", "linear", *data, "--out", f"{runs}/linear"),
        "text": ("train", "text", *data, "--out", f"{runs}/text", "--cpu", "scheme=single_stage", *QUICK),
        "open": (
            "train", "fusion", *data, "--out", f"{runs}/open", *_small_fusion(work), "model.vocabulary=open"
        ),
        "export": export,
    }  # fmt: skip


def training_scenarios(work: Path) -> dict[str, Scenario]:
    """Commands that make runs, by name."""
    box, data, resume = work / "box", ("--data", f"{work}/catalog"), ("--resume",)
    run = ("--out", f"{box}/run")
    linear, fusion = (
        ("baseline", "linear", *data, *run),
        ("train", "fusion", *data, *run, *_small_fusion(work)),
    )
    study = ("study", *data, "--out", f"{box}/study", "--configs", f"{work}/configs", "--cpu")
    return {
        "baseline": Scenario(linear, resume),
        "baseline --overwrite": Scenario(
            (*linear, "--overwrite"), before=((work / "runs" / "linear", "run"),)
        ),
        "train text": Scenario(("train", "text", *data, *run, "--cpu", *QUICK), resume),
        "train fusion": Scenario((*fusion, "model.vocabulary=closed"), resume),
        "train fusion, open vocabulary": Scenario((*fusion, "model.vocabulary=open"), resume, most=12),
        "study": Scenario(study),
    }


def prediction_scenarios(work: Path) -> dict[str, Scenario]:
    """Commands that use runs, by name."""
    runs, box, resume, again = work / "runs", work / "box", ("--resume",), ("--overwrite",)
    predict = ("predict", "--run", f"{runs}/text", "--input", f"{work}/products.csv", "--cpu", "--out")
    export = ("export", "--run", f"{runs}/text", "--products", "20", "--out", f"{box}/export")
    add = ("classes", "add", "--run", f"{box}/run", "--name", "Toys > Kite", "--cpu")
    outputs = ((work / "old.csv", "out.csv"), (work / "old.csv", "out.errors.csv"))
    return {
        "predict": Scenario((*predict, f"{box}/out.csv"), resume, needs=("text",)),
        "predict, Parquet": Scenario((*predict, f"{box}/out.parquet"), resume, needs=("text",)),
        "predict --overwrite": Scenario(
            (*predict, f"{box}/out.csv", *again), resume, before=outputs, needs=("text",)
        ),
        "classes add": Scenario(add, complete="has a class", before=((runs / "open", "run"),)),
        "export": Scenario(export, complete="holds an export already", needs=("text",)),
        "export --overwrite": Scenario(
            (*export, *again), before=((runs / "export", "export"),), needs=("text",)
        ),
        "compare": Scenario(
            ("compare", f"{runs}/linear", f"{runs}/text", "--out", f"{box}/report"), needs=("linear", "text")
        ),
        "label-issues": Scenario(
            ("label-issues", "--run", f"{runs}/linear", "--out", f"{box}/issues"), needs=("linear",)
        ),
        "data sample": Scenario(
            ("data", "sample", f"{box}/sample", "--products", "200"), complete="holds files already", most=40
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, help="kills of each command; default: before every change")
    parser.add_argument("--only", nargs="+", help="names of commands; default: all")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fusionclf-kill-") as folder:
        work = Path(folder).resolve()
        os.environ["FUSIONCLF_CACHE"] = str(work / "cache")
        for room in ("baseline", "train", "predict"):  # else each fork imports them
            importlib.import_module(f"fusionclf.workflows.{room}")
        make_inputs(work)
        needed = needed_commands(work)
        known = training_scenarios(work) | prediction_scenarios(work)
        print(
            "| command | killed | ended like an uninterrupted one | stray files |\n| --- | ---: | ---: | ---: |",
            flush=True,
        )
        rows = {}
        for name in options.only or known:
            for need in (*known[name].needs, *(source.name for source, _ in known[name].before)):
                if need in needed:
                    whole_run(needed.pop(need), work / "notes.json")
            rows[name] = row = kill_everywhere(known[name], work, options.points)
            print(f"| `{name}` | {row.points} | {row.equal} | {row.strays} |", flush=True)
    total = [sum(getattr(row, key) for row in rows.values()) for key in ("points", "equal", "strays")]
    print(f"| all | {total[0]} | {total[1]} | {total[2]} |")
    for name, row in rows.items():
        for failure in row.failures[:20]:
            print(f"--- {name}: {failure}")
    return 1 if any(row.failures for row in rows.values()) else 0


if __name__ == "__main__":
    raise SystemExit(main())
