"""Mutated settings: words of the command line, settings files, synonyms files and lists of a study.

    python -m benchmarks.fuzz_settings [--cases 1200] [--seed 0]

A setting may be wrong in any way: it is taken as it was meant, or refused by one line of at most 400 characters.
Training settings are read with a catalog that does not exist, so that no case trains.
"""

import argparse
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import typer
from PIL import Image

from benchmarks.fuzzing import Tally, run_case, run_command
from fusionclf.catalog import read_synonyms
from fusionclf.cli.group import OneLineErrors
from fusionclf.config import BaselineConfig, RunConfig, dump_yaml, load_settings
from fusionclf.models import find_variant
from fusionclf.workflows import baseline, study, train  # noqa: F401  # imported once, before the forks
from fusionclf.workflows.data import data_check
from fusionclf.workflows.settings import config_folder

VARIANTS = ("image", "multitask", "text", "fusion")
COLUMNS = ("No", "Name: EN", "on", "007", "1e5", "year", "masterCategory", "subCategory", "id")
VALUES = (
    "", "No", "on", "null", "~", "true", "0", "1", "3", "-1", "0.5", "1e5", "1e-3", "nan", ".inf",
    "007", "0x1F", "1_000", "1:30", "2020-01-01", "2020-13-45", "9" * 5000, "1e99999", "\uff11\uff12",
    "x" * 10_000, "{sku}.jpg", "{No}.jpg", "{on}/{No}.jpg", "{file}", "{", "}", "{}", "{0}",
    "{id!r}", "{id:>9}", "[", "[]", "[" * 500, "{" * 500, "[" * 9000, "- " * 500, "[a, [b]]",
    "[null]", "{a: b}", "{a: {b: {c: 1}}}", "{a: 1, a: 2}", "{? [x] : y}", "&a [*a]", "*a",
    "{<<: {a: 1}}", "<<", "!!int x", "!!python/object/apply:os.system [ls]", "!x", "%TAG", "@x",
    "`x`", "| x", "> x", "# x", "a: b: c", "Name: EN", "a,b", ",,", "'", '"', "'a", '"\\ud800"',
    '"\\UFFFFFFFF"', "\\", "\t", "\n", "a\nb", "\x1b[31m", "\x9b31m", "\u202e", "\u200b", "\u2028",
    "\ufeff", "\udcff", "\ud800", "日本", "👕", "../../x", "/dev/zero", "/", "=", "a=b", "--",
    "2" * 400 + "." + "3" * 400, "title", "[title, picture]", "random", "column", "two_stage",
    "offline", "[{epochs: 1, height: 64, width: 48}]",
)  # fmt: skip
KEYS = (
    "", ".", "..", "a", "train.", ".train", "a..b", "tr\u0430in.epochs", "train.epochs\uff1d",
    "x" * 9000, "a." * 3000, "<<", "stage2." + "a." * 30, "0", "null", "catalog", "\x1b[31m",
    "\udcff", "日本", " split.seed", "split .seed",
)  # fmt: skip


@dataclass
class Maker:
    """Makes cases from a seed, with files in a folder of their own."""

    folder: Path
    random: random.Random
    number: int = 0

    def paths(self) -> Path:
        """A fresh path for a file or a folder."""
        self.number += 1
        return self.folder / f"case{self.number}"

    def word(self, paths: list[str]) -> str:
        """A key=value word, more often than not with a key that exists."""
        key = self.random.choice(paths) if self.random.random() < 0.75 else self.random.choice(KEYS)
        if self.random.random() < 0.1:
            key = self.mutated(key)
        value = self.random.choice([*VALUES, *COLUMNS])
        if self.random.random() < 0.2:
            value = self.mutated(value)
        word = key if self.random.random() < 0.03 else f"{key}={value}"
        return word.replace("\0", "")  # no command line can hold it

    def mutated(self, text: str) -> str:
        """A text with a few pieces cut out, doubled, or put in."""
        for _ in range(self.random.randint(1, 2)):
            place = self.random.randint(0, len(text))
            end = min(len(text), place + self.random.randint(0, 12))
            new = self.random.choice([*VALUES, *"\n :{}[],-#'"])
            piece = self.random.choice(["", text[place:end] * 2, new])
            text = text[:place] + piece + text[end:]
        return text

    def revalued(self, text: str) -> str:
        """A YAML text in which the value of one line, or of one item, is another one."""
        lines = text.splitlines()
        place = self.random.randrange(len(lines))
        key, separator, _ = lines[place].partition(":")
        lines[place] = f"{key}{separator} {self.random.choice([*VALUES, *COLUMNS])}"
        return "\n".join(lines)

    def file(self, text: str) -> Path:
        """A file of a mutated text; now and then of other bytes, or of many."""
        path = self.paths().with_suffix(".yaml")
        changed = self.random.choice((self.mutated, self.revalued))(text)
        content = changed.encode("utf-8", "surrogatepass")
        kind = self.random.random()
        if kind < 0.05:
            content = bytes(self.random.randrange(256) for _ in range(300))
        elif kind < 0.1:
            content = content.decode("utf-8", "replace").encode("utf-16")
        elif kind < 0.12:
            content += b"\0"
        elif kind < 0.15:
            content *= self.random.choice([2, 50, 5000])
        path.write_bytes(content)
        if kind > 0.99:
            os.truncate(path, 100_000_000)
        return path

    def config(self, text: str) -> str:
        """What --config is given: a file most of the time."""
        if self.random.random() < 0.9:
            return str(self.file(text))
        return self.random.choice(
            ["", "image-cpuu", str(self.folder), "x" * 9000, "\udcff", "\x1b[31m", "/dev/zero", "**"]
        )


def setting_paths(schema: Any, prefix: str = "") -> Iterator[str]:
    """The dotted path of every setting, of sections too."""
    for name, field in schema.model_fields.items():
        yield f"{prefix}{name}"
        if hasattr(field.annotation, "model_fields"):
            yield from setting_paths(field.annotation, f"{prefix}{name}.")


def small_catalog(folder: Path) -> Path:
    """24 products whose columns have the names that YAML takes for something else."""
    folder.mkdir()
    rows = [
        f"p{n},Thing {n} {'ab'[n % 2]},{'ab'[n % 2]},{n},{n % 3},{2011 + n // 2 % 2},x,y,{n}"
        for n in range(24)
    ]
    (folder / "styles.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    for n in range(24):
        Image.new("RGB", (6, 8), (n * 10, 90, 40)).save(folder / f"p{n}.jpg")
    return folder


BASE = (
    "catalog.id=No", "catalog.title=Name: EN", "catalog.label=on", "catalog.picture={No}.jpg",
    "catalog.metadata=007", "catalog.categories=",
)  # fmt: skip
checks = typer.Typer(cls=OneLineErrors, pretty_exceptions_enable=False)


@checks.command()
def synonyms(file: Path) -> None:
    """Read a synonyms file."""
    read_synonyms(file)


@checks.command()
def check(folder: Path, words: list[str]) -> None:
    """`data check`; a catalog that is not usable is exit code 1, as no error is printed then."""
    from fusionclf.console import Console

    if not data_check(folder, None, tuple(words), False, Console()):
        raise typer.Exit(1)


def run_check(*words: str) -> int:
    """Run one of the commands above."""
    checks(list(words), prog_name="fusionclf")
    return 0


def make_case(maker: Maker, catalog: Path, texts: dict[str, list[str]]) -> tuple[str, Callable[[], int]]:
    """A case, and what it is called."""
    choose = maker.random.choice
    kind = choose(("words", "words", "baseline", "check", "file", "file", "synonyms", "study"))
    variant = choose(VARIANTS)
    if kind == "synonyms":
        file = maker.file(choose(texts["synonyms"]))
        return f"synonyms {file.read_bytes()[:200]!r}", partial(run_check, "synonyms", str(file))
    if kind == "check":
        words = [*BASE, *(maker.word(list(setting_paths(BaselineConfig))) for _ in range(choose((1, 2))))]
        return f"check {words!r:.300}", partial(run_check, "check", str(catalog), "--", *words)
    command = [
        "train",
        variant,
        "--cpu",
        "--data",
        str(maker.folder / "missing"),
        "--out",
        str(maker.paths()),
    ]
    if kind == "words":
        schema = RunConfig[find_variant(variant).params]
        command += ["--", *(maker.word(list(setting_paths(schema))) for _ in range(choose((1, 1, 3))))]
    elif kind == "file":
        command += ["--config", maker.config(choose(texts["settings"]))]
    elif kind == "study":
        command = ["study", "--data", str(maker.folder / "missing"), "--out", str(maker.paths())]
        command += ["--configs", maker.config(choose(texts["studies"]))]
    else:
        command = ["baseline", "majority", "--data", str(catalog), "--out", str(maker.paths()), "--"]
        command += [*BASE, maker.word(list(setting_paths(BaselineConfig)))]
    shown = [word if len(word) < 200 else f"{word[:200]}…" for word in command]
    return repr(shown), partial(run_command, command)


def source_texts() -> dict[str, list[str]]:
    """Files to mutate."""
    runs = [
        dump_yaml(load_settings(RunConfig[find_variant(name).params], None, (), variant=name, data="x"))
        for name in VARIANTS
    ]
    synonyms = (config_folder() / "synonyms" / "fashion.yaml").read_text(encoding="utf-8")
    return {
        "settings": [*runs, *(file.read_text(encoding="utf-8") for file in config_folder().glob("*.yaml"))],
        "synonyms": [
            synonyms[:4000],
            "No: [nothing]\n7: [seven, lucky]\n007: [agent]\nnull: ['a: b', \"x\"]\n",
        ],
        "studies": [
            (config_folder() / "studies" / "ablation.yaml").read_text(encoding="utf-8"),
            "007: {config: text-sample, set: [seed=1]}\nNo:\n  config: image-sample\n",
        ],
    }


def main() -> int:
    """Run the cases; exit code 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as name:
        os.environ["FUSIONCLF_CACHE"] = f"{name}/cache"
        maker = Maker(Path(name), random.Random(options.seed))
        catalog, texts = small_catalog(Path(name) / "catalog"), source_texts()
        for _ in range(options.cases):
            title, case = make_case(maker, catalog, texts)
            tally.add(title, run_case(case))
    return tally.report("fuzz_settings")


if __name__ == "__main__":
    sys.exit(main())
