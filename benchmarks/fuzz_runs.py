"""Damages finished runs and an export, and counts how the commands that read them end.

    python -m benchmarks.fuzz_runs --cases 600 --seed 0

Makes a small catalog, five runs and an export in a temporary folder. Each case copies one of them, damages one or two
of its files, and runs one command on it in a forked process. Prints one row; the exit code is 1 where a command left a
traceback, hung, or took too much memory.
"""

import argparse
import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import yaml

from benchmarks.damages import damage
from benchmarks.fuzzing import Tally, run_case, run_command
from benchmarks.tiny_bert import write_tiny_bert

IMAGE = (
    "model.image.backbone=resnet18",
    "model.image.weights=none",
    "pictures.height=32",
    "pictures.width=32",
)
QUICK = ("scheme=single_stage", "train.epochs=1")
TEXT = ("model.text.buckets=4096", "model.text.dim=16", "model.hidden=16")
NAMES = ("model.fuser=late", "model.vocabulary=open", "model.text.kind=both", "model.text.buckets=4096")
TITLE = "Blue Running Shoes"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="run this case alone and show its output")
    parser.add_argument("--work", type=Path, help="keep the runs in this folder, and use those that it holds")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.work or Path(name)
        os.environ["FUSIONCLF_CACHE"] = str(folder / "cache")
        _import_all()
        if not (folder / "runs" / "export").is_dir():
            make_all(folder)
        whole = {path.name: path for path in sorted((folder / "runs").iterdir())}
        tally = Tally()
        for number in range(options.cases) if options.only is None else [options.only]:
            draw = random.Random(f"{options.seed}/{number}")
            title, command = make_case(folder, whole, draw)
            outcome = run_case(command)
            tally.add(f"{number}: {title}", outcome)
            if options.only is not None:
                print(outcome.kind, title, outcome.output, sep="\n")
        return tally.report("damaged runs")


def _import_all() -> None:
    """What a forked process then need not import."""
    import onnxruntime  # noqa: F401
    import skops.io  # noqa: F401
    import torchvision  # noqa: F401
    import transformers  # noqa: F401

    import fusionclf.prediction
    import fusionclf.report
    import fusionclf.workflows.export
    import fusionclf.workflows.push  # noqa: F401


def make_all(folder: Path) -> None:
    """Make the runs and the export below `folder`/runs."""
    from fusionclf.catalog import generate_sample

    data = generate_sample(folder / "catalog", products=200)
    bert = write_tiny_bert(folder / "bert")
    train = {
        "image": ("image", *IMAGE, "train.epochs=1", "stage2.epochs=1"),
        "fusion": ("fusion", *IMAGE, *QUICK, *TEXT, "model.fuser=gated"),
        "open": ("fusion", *IMAGE, *QUICK, *NAMES, f"model.text.model={bert}", "train.precision=fp32"),
    }
    for name in ("nb", "linear"):
        _done("baseline", name, "--data", data, "--out", folder / "runs" / name)
    for name, (variant, *words) in train.items():
        _done("train", variant, "--data", data, "--out", folder / "runs" / name, "--cpu", *words)
    _done("classes", "add", "--run", folder / "runs" / "open", "--name", "Toys > Kite")
    _done("export", "--run", folder / "runs" / "fusion", "--out", folder / "runs" / "export")


def _done(*words: object) -> None:
    outcome = run_case(partial(run_command, [str(word) for word in words]), 300, 4096)
    if outcome.kind != "done":
        raise SystemExit(f"{words}: {outcome.kind}\n{outcome.output}")


def make_case(folder: Path, whole: dict[str, Path], draw: random.Random) -> tuple[str, Callable[[], int]]:
    """A damaged copy of a run, and a command that reads what is damaged."""
    name = draw.choice(list(whole))
    shutil.rmtree(folder / "case", ignore_errors=True)
    copy = folder / "case" / name
    shutil.copytree(whole[name], copy, ignore=shutil.ignore_patterns("checkpoints"))
    files = sorted(path.relative_to(copy) for path in copy.rglob("*") if path.is_file())
    chosen = draw.sample(files, draw.choice((1, 1, 2)))
    changes = [name]
    for file in chosen:
        others = [path / file for other, path in whole.items() if other != name and (path / file).is_file()]
        changes.append(f"{file}: {damage(copy / file, others, draw)}")
    words = _command(copy, chosen[0], whole, draw) if name != "export" else None
    changes.append(" ".join(map(str, words)) if words else "open_exported")
    return "; ".join(changes), partial(run_command, words) if words else partial(predict_exported, copy)


def read_data(run: Path) -> str:
    """The catalog of a run."""
    return str(yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))["data"])


def _command(run: Path, damaged: Path, whole: dict[str, Path], draw: random.Random) -> list[str]:
    """A command that reads the damaged file of a run."""
    out = run.parent / "out"
    other = whole[draw.choice([name for name in whole if name not in ("export", run.name)])]
    part = ["--part", "rest"] if (whole[run.name] / "model" / "rest.safetensors").is_file() else []
    model = ["--run", run, "--title", TITLE, "--cpu", *part]
    commands: dict[str, list[object]] = {
        "compare": ["compare", run, other, "--out", out],
        "alone": ["compare", run, "--out", out],
        "label-issues": ["label-issues", "--run", run, "--run", other, "--out", out],
        "predict": ["predict", *model],
        "graded": ["predict", *model, "--target-precision", 0.9, "--json"],
        "explain": ["explain", *model],
        "classes": ["classes", "list", "--run", run, *part],
        "push": ["push", "--run", run, "--repo", "me/run", "--dry-run"],
        "resume": [
            "train",
            run.name,
            "--data",
            read_data(whole[run.name]),
            "--config",
            whole[run.name] / "config.yaml",
            "--out",
            run,
            "--resume",
            "--cpu",
        ],
        "export": ["export", "--run", run, "--out", out],
    }
    names = list(commands)[:-2]
    if damaged.parts[0] == "model":
        names = ["predict", "predict", "graded", "explain", "classes", "classes"]
        names += ["export"] if run.name == "fusion" else []
    elif damaged.parts[0] == "held_out":
        names = ["label-issues", "graded"]
    elif damaged.parts[0] in ("predictions", "environment.json", "log.jsonl", "split.json"):
        names = ["compare", "alone", "label-issues", "push"]
    elif damaged.name == "metrics.json":
        names = ["compare", "alone", "label-issues", "push", "resume"]
    return [str(word) for word in commands[draw.choice(names)]]


def predict_exported(folder: Path) -> int:
    """Predict one title by an export, and end as the command line would."""
    from fusionclf.errors import FusionclfError
    from fusionclf.export import open_exported

    try:
        answers = open_exported(folder).predict(titles=[TITLE])
        json.dumps(answers.labels)
    except FusionclfError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
