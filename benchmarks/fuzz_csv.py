"""Mutated tables of products through `data check` and the reading half of `predict`.

Usage: python -m benchmarks.fuzz_csv [--cases N] [--seed S]

Makes small CSV, JSON lines and Parquet files of several delimiters and encodings, some compressed by gzip, spoils each
in a few random ways, and reads them in forked processes
(fuzzing.py). A case fails where it ends in a traceback, hangs, takes more than 1.5 GiB, says no clear line, or names a
picture outside its folder. Exit code 1 on a failure.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch is imported: its threads do not outlive a fork

import argparse
import gzip
import json
import random
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.fuzzing import Tally, run_case
from fusionclf.catalog.picture_paths import is_url
from fusionclf.config import CatalogConfig
from fusionclf.console import Console
from fusionclf.errors import FusionclfError
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.workflows.data import data_check

KINDS = ("csv", "csv", "csv", "csv", "jsonl", "parquet")
COLUMNS = ("sku", "name", "type", "group", "file", "fold", "year")
PICTURES = 8
CHUNK = 7
# Cells that have been trouble: missing values, formulas, paths, encodings, control characters, numbers.
CELLS: tuple[Any, ...] = (
    "", " ", "nan", "NaN", "None", "null", "N/A", "<NA>", "NA", "../x.jpg", "/etc/passwd", "images//0.jpg",
    "images\\1.jpg", "images/2.JPG", " images/3.jpg ", "https://example.org/images/4.jpg", "data:image/png;base64,AAAA",
    "a;b.jpg", "images", "images/", ".", "..", "~", "images/0.jpg\0", "a\nb", "a\r\nb", 'a"b', '"', '""', "'", ",",
    "\u202ecba", "\x1b[31mred", "cafe\u0301", "café", "ﬁ", "İ", "ß", "\u00a0", "\u2028", "😀", "x" * 300, "é" * 300,
    "=1+1", "+1", "-0", "1e400", "1e5", "1000.0", "9" * 50, "0x10", "true", "Apparel > Shirts", "Bags|Totes", "SHIRTS",
    "shirts ", "{id}", "{}", "[red]x[/red]", "%s%n", "train", "test", "validation", "TRAIN", "2012", "2012.5",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    *CELLS, None, float("nan"), float("inf"), True, False, 0, -1, 1.5, 1000.0, 2**70, [1], {"a": 1}, "\ud800",
)  # fmt: skip
PIECES = (
    b"\0", b'"', b'""', b",", b";", b"\t", b"\n", b"\r", b"\r\n", b"\n\n\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xe9",
    b"\xed\xa0\x80", b"\x1a", b"\\", b"'", b"{", b"}", b"[", b"[" * 5000, b'"' * 999, b"," * 5000, b"x" * 200_000,
    b"\n" * 20_000, b'"' + b"y" * 1_200_000 + b'"', b"sku", b"name", b"type,type", b"\xf0\x9f\x98\x80", b"NaN", b"null",
    b"PAR1", b"-1", b"1e999",
)  # fmt: skip


def make_rows(chance: random.Random) -> list[dict[str, Any]]:
    """Products, of which some cells are odd."""
    rows = []
    for number in range(chance.choice((0, 1, 3, 12, 40))):
        kind = chance.choice(("Shirts", "Shoes", "Bags"))
        row: dict[str, Any] = {
            "sku": str(1000 + number), "name": f"Red {kind} {number}", "type": kind, "group": kind[:2],
            "file": f"images/{number % PICTURES}.jpg", "fold": chance.choice(("train", "test")), "year": "2012",
        }  # fmt: skip
        if chance.random() < 0.2:
            row[chance.choice(COLUMNS)] = chance.choice(VALUES)
        rows.append(row)
    return rows


def as_csv(rows: list[dict[str, Any]], chance: random.Random) -> bytes:
    """Rows as CSV, quoted or not."""
    quote = chance.random() < 0.5

    def cell(value: Any) -> str:
        text = "" if value is None else str(value)
        return '"' + text.replace('"', '""') + '"' if quote else text

    sign = chance.choice((",",) * 6 + (";", "\t", "|"))
    lines = [sign.join(COLUMNS), *(sign.join(cell(row[name]) for name in COLUMNS) for row in rows)]
    text = chance.choice(("\n", "\r\n", "\n", "\r")).join(lines) + chance.choice(("\n", ""))
    encoding = chance.choice(
        ("utf-8",) * 8 + ("utf-8-sig", "utf-16", "utf-16-be", "latin-1", "cp1252", "cp1250")
    )
    return text.encode(encoding, "surrogatepass" if encoding.startswith("utf") else "replace")


def as_json_lines(rows: list[dict[str, Any]], chance: random.Random) -> bytes:
    """Rows as JSON lines."""
    ascii_only = chance.random() < 0.5
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def as_parquet(rows: list[dict[str, Any]], chance: random.Random, file: Path) -> bytes:
    """Rows as Parquet, each column of a type of its own."""
    columns = {}
    for name in COLUMNS:
        cells = [row[name] for row in rows]
        try:
            column = pa.array(
                cells, chance.choice((None, pa.string(), pa.float64(), pa.int64(), pa.binary()))
            )
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            column = pa.array([str(cell).encode("utf-8", "replace").decode() for cell in cells])
        columns[name] = column.dictionary_encode() if chance.random() < 0.2 and len(column) else column
    pq.write_table(pa.table(columns), file)
    return file.read_bytes()


def spoiled(data: bytes, chance: random.Random) -> bytes:
    """Bytes with a few random changes."""
    for _ in range(chance.choice((0, 1, 1, 2, 5))):
        place = chance.randrange(len(data) + 1) if chance.random() < 0.8 else 0
        change = chance.randrange(5)
        if change == 0:
            data = data[:place] + chance.choice(PIECES) + data[place:]
        elif change == 1:
            data = data[:place] + data[place + chance.choice((1, 2, 30)) :]
        elif change == 2:
            data = data[:place]
        elif change == 3 and data:
            place = min(place, len(data) - 1)
            data = data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
        else:
            end = place + chance.randrange(200)
            data = data[:end] + data[place:end] * chance.choice((1, 3)) + data[end:]
    return data


def settings_of(chance: random.Random) -> tuple[str, ...]:
    """Settings of a check: most fit the table."""
    picture = chance.choice(
        ("{file}",) * 4 + ("images/{sku}.jpg", "{group}/{file}", "images/{year}{sku}.jpg")
    )
    columns = [
        "catalog.id=sku", "catalog.title=name", "catalog.label=type",
        f"catalog.picture={picture}", "catalog.categories=group", f"catalog.metadata={chance.choice(('', 'fold'))}",
        f"catalog.year={chance.choice(('null', 'year'))}",
        f"catalog.missing_picture={chance.choice(('drop', 'keep'))}",
        f"catalog.join_spellings={chance.choice(('true', 'false'))}",
    ]  # fmt: skip
    split = chance.choice(
        (("split.rule=random",), ("split.rule=random", "split.group_by=title"), ("split.rule=year_parity",),
         ("split.rule=column", "split.column=fold"), ("split.rule=column", "split.column=Fold"))
    )  # fmt: skip
    return (*columns, *split, f"split.top_k={chance.choice((1, 2, 20))}")


def one_line(work: Callable[[], Any]) -> int:
    """`work`, ended as the command line ends it."""
    try:
        work()
    except FusionclfError as error:
        print(f"error: {' '.join(str(error).split())}")
        return error.exit_code
    return 0


def check(folder: Path, settings: tuple[str, ...], as_json: bool) -> int:
    """`fusionclf data check`."""
    return one_line(lambda: data_check(folder, None, settings, as_json, Console(quiet=True)))


def read(file: Path, columns: CatalogConfig) -> int:
    """All products of a file, as `fusionclf predict` reads them."""

    def work() -> None:
        table = ProductTable(file, columns)
        table.check()
        assert table.count >= 0
        for chunk in table.chunks(CHUNK):
            assert len(chunk.ids) == len(chunk.fields) == len(chunk.places) == len(chunk.pictures)
            assert all(chunk.ids) and all(
                isinstance(text, str) for text in (*chunk.ids, *chunk.fields["title"])
            )
            named = [files if isinstance(files, tuple) else (files,) for files in chunk.pictures if files]
            for path in [path for files in named for path in files if not is_url(path)]:
                assert os.path.commonpath([file.parent, os.path.normpath(path)]) == str(file.parent), path
            str(chunk.missing).encode()
            json.dumps([vars(fault) for fault in chunk.faults])

    return one_line(work)


def run(number: int, seed: int, folder: Path) -> int:
    """Make a case's file in `folder`, say what it is, and read it."""
    chance = random.Random(f"{seed}:{number}")
    kind = chance.choice(KINDS)
    file = folder / f"t.{kind}"
    rows = make_rows(chance)
    data = (
        as_csv(rows, chance) if kind == "csv"
        else as_json_lines(rows, chance) if kind == "jsonl"
        else as_parquet(rows, chance, file)
    )  # fmt: skip
    if kind != "parquet" and chance.random() < 0.15:
        data = gzip.compress(data)
    file.write_bytes(spoiled(data, chance))
    settings = settings_of(chance)
    if chance.random() < 0.5:
        settings += (f"catalog.delimiter={chance.choice(('auto', 'comma', 'semicolon'))}",)
        settings += (f"catalog.encoding={chance.choice(('auto', 'auto', 'utf-8', 'utf-16', 'cp1252'))}",)
    if chance.random() < 0.6:
        print("data check", file.name, *settings)
        return check(chance.choice((file, folder)), settings, chance.random() < 0.5)
    columns = CatalogConfig(id="sku", title="name", picture=chance.choice(("{file}", "images/{sku}.jpg")))
    print(f"predict {file.name} catalog.picture={columns.picture}")
    return read(file, columns)


def main() -> int:
    """Run all cases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tally = Tally()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "catalog"
        (folder / "images").mkdir(parents=True)
        for number in range(PICTURES):
            Image.new("RGB", (6, 8), (number * 30, 9, 90)).save(folder / f"images/{number}.jpg")
        for number in range(options.cases):
            outcome = run_case(partial(run, number, options.seed, folder))
            tally.add(f"case {number}, seed {options.seed}", outcome)
            for file in folder.glob("t.*"):
                file.unlink()
    return tally.report("tables")


if __name__ == "__main__":
    sys.exit(main())
