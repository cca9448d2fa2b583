"""Answers as CSV, JSON lines or Parquet: some at a time, then parts put together in constant memory."""

import csv
import io
import json
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.prediction.answers import NONE, Answers

DIGITS = 6  # of probabilities in text files
FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r")
PLAIN = re.compile(r"\w[\w .-]*")  # cells that are neither quoted nor guarded
# What a spreadsheet would compute when it opens the file, but for plain numbers.
FORMULA = re.compile(r"^(?:[=@\t\r]|[+-](?!\d+(?:[.,]\d+)*$))")


@dataclass(frozen=True)
class Format:
    """One way to write answers.

    Attributes:
        write: (file, ids, answers); products without an answer are left out.
        join: (file, parts in order) → the file.
    """

    write: Callable[[Path, Sequence[str], Answers], None]
    join: Callable[[Path, Sequence[Path]], None]


def guarded(cell: str) -> str:
    """A cell of a CSV file that a spreadsheet takes as text: an apostrophe goes before what begins like a formula."""
    return f"'{cell}" if cell[:1] in FORMULA_BEGINS and FORMULA.match(cell) else cell


def _columns(ids: Sequence[str], answers: Answers) -> dict[str, list[Any] | np.ndarray]:
    """Output column → values, of the products that have an answer."""
    columns = {"id": list(ids), **answers.columns()}
    if NONE not in answers.decisions:
        return columns
    there = np.array(answers.decisions, object) != NONE
    return {name: np.asarray(v, None if _is_number(name) else object)[there] for name, v in columns.items()}


def _is_number(column: str) -> bool:
    return column.startswith("prob_")


def _write_csv(path: Path, ids: Sequence[str], answers: Answers) -> None:
    columns: dict[str, Iterable[str]] = {}
    for name, values in _columns(ids, answers).items():
        if _is_number(name):
            columns[name] = _number_cells(np.asarray(values))
        elif name == "id":
            columns[name] = [text if PLAIN.fullmatch(text) else _cell(text) for text in values]
        else:  # a few texts, over and over
            cells = {text: _cell(text) for text in set(values)}
            columns[name] = [cells[text] for text in values]
    rows = [",".join(columns), *map(",".join, zip(*columns.values(), strict=True)), ""]
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("\n".join(rows))


def _number_cells(numbers: np.ndarray) -> list[str]:
    """Probabilities, rounded, as Python writes them; by Arrow, which takes a quarter of the time."""
    return [OTHERWISE.get(text, text) for text in _arrow_texts(np.round(numbers, DIGITS))]


def _arrow_texts(numbers: np.ndarray) -> list[str]:
    return pa.array(numbers).cast(pa.string()).to_pylist()


# 0, 1 and what is below 0.0001, which Python writes as 0.0, 1.0 and 9.9e-05.
_WRITTEN_OTHERWISE = np.round(np.array([*range(10 ** (DIGITS - 4)), 10**DIGITS]) / 10**DIGITS, DIGITS)
OTHERWISE = dict(zip(_arrow_texts(_WRITTEN_OTHERWISE), map(repr, _WRITTEN_OTHERWISE.tolist()), strict=True))


def _cell(text: str) -> str:
    """A text as a cell of a CSV file, guarded, and quoted where it has to be."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow([guarded(text), ""])
    return stream.getvalue().removesuffix(",\n")


def _join_csv(path: Path, parts: Sequence[Path]) -> None:
    with path.open("wb") as file:
        for number, part in enumerate(parts):
            with part.open("rb") as source:
                header = source.readline()
                if number == 0:
                    file.write(header)
                shutil.copyfileobj(source, file)


def _write_jsonl(path: Path, ids: Sequence[str], answers: Answers) -> None:
    with path.open("w", encoding="utf-8") as file:
        for place, product in enumerate(ids):
            if answers.decisions[place] != NONE:
                file.write(json.dumps({"id": product, **as_json(answers, place)}, ensure_ascii=False) + "\n")


def as_json(answers: Answers, place: int) -> dict[str, Any]:
    """One product's answer as JSON values."""
    return {
        "labels": answers.labels[place],
        "probabilities": [round(p, DIGITS) for p in answers.probabilities[place].tolist()],
        "path": list(answers.paths[place]),
        "answer": list(answers.answered[place]),
        "decision": answers.decisions[place],
        "picture_status": answers.picture_status[place],
        "title_status": answers.title_status[place],
    }


def _join_bytes(path: Path, parts: Sequence[Path]) -> None:
    with path.open("wb") as file:
        for part in parts:
            with part.open("rb") as source:
                shutil.copyfileobj(source, file)


def _write_parquet(path: Path, ids: Sequence[str], answers: Answers) -> None:
    columns = _columns(ids, answers)
    types = {name: pa.float64() if _is_number(name) else pa.string() for name in columns}
    pq.write_table(pa.table({name: pa.array(v, types[name]) for name, v in columns.items()}), path)


def _join_parquet(path: Path, parts: Sequence[Path]) -> None:
    with pq.ParquetWriter(path, pq.read_schema(parts[0])) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))


FORMATS = {
    "csv": Format(_write_csv, _join_csv),
    "jsonl": Format(_write_jsonl, _join_bytes),
    "parquet": Format(_write_parquet, _join_parquet),
}
