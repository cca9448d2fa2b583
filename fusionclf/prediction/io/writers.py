"""Answers as CSV, JSON lines or Parquet: one file per chunk, then joined in constant memory."""

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from fusionclf.errors import PredictionError
from fusionclf.prediction.answers import NONE, Answers, without_codes
from fusionclf.runfolder import guarded

DIGITS = 6  # of probabilities in text files
PLAIN = r"^\w[\w .-]*\z"  # cells that are neither quoted nor guarded


@dataclass(frozen=True)
class Format:
    """One way to write answers, or another result.

    Attributes:
        write: (file, ids, result); products without an answer are omitted.
        join: (file, chunk files in order) → the file.
    """

    write: Callable[[Path, Sequence[str], Any], None]
    join: Callable[[Path, Sequence[Path]], None]


def _columns(ids: Sequence[str], answers: Answers) -> pa.Table:
    """The output's columns, without products that have no answer."""
    columns = pa.table({"id": pa.array(ids, pa.string()), **answers.columns()})
    if NONE not in answers.decisions:
        return columns
    return columns.filter(pa.array(answers.answered_at_all))


def _write_csv(path: Path, ids: Sequence[str], answers: Answers) -> None:
    columns = _columns(ids, answers)
    cells = [_cells(column.combine_chunks()) for column in columns.columns]
    rows = pc.binary_join_element_wise(*cells, ",")  # pyright: ignore[reportAttributeAccessIssue]
    whole = pa.ListArray.from_arrays([0, len(rows)], rows)
    (text,) = pc.binary_join(whole, "\n")  # pyright: ignore[reportAttributeAccessIssue]
    with path.open("wb") as file:
        file.write(f"{','.join(columns.column_names)}\n".encode())
        if len(rows):
            file.write(text.as_buffer())
            file.write(b"\n")


def _cells(column: pa.Array) -> pa.Array:
    """A column as cells of a CSV file, made by Arrow for speed."""
    if pa.types.is_floating(column.type):
        return _number_cells(column.to_numpy(zero_copy_only=False))
    if isinstance(column, pa.DictionaryArray):
        return pa.array([_cell(text) for text in column.dictionary.to_pylist()], pa.string()).take(
            column.indices
        )
    odd = pc.invert(pc.match_substring_regex(column, PLAIN))  # pyright: ignore[reportAttributeAccessIssue]
    replaced = [_cell(text) for text in column.filter(odd).to_pylist()]
    return pc.replace_with_mask(column, odd, pa.array(replaced, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]


def _number_cells(numbers: np.ndarray) -> pa.Array:
    """Probabilities, rounded, as Python writes them; an empty cell for NaN."""
    missing = np.isnan(numbers)
    rounded = np.round(np.where(missing, 0.0, numbers), DIGITS)
    millionths = np.rint(rounded * 10**DIGITS).astype(np.int64)
    otherwise = (millionths < len(_SMALL)) | (millionths == 10**DIGITS)
    # Arrow writes 0.0, 1.0 and 9.9e-05 as 0, 1 and 0.000099.
    replaced = [_SMALL[n] if n < len(_SMALL) else "1.0" for n in millionths[otherwise].tolist()]
    texts = pa.array(rounded).cast(pa.string())
    cells = pc.replace_with_mask(texts, pa.array(otherwise), pa.array(replaced, pa.string()))  # pyright: ignore[reportAttributeAccessIssue]
    return pc.if_else(pa.array(missing), "", cells) if missing.any() else cells  # pyright: ignore[reportAttributeAccessIssue]


_SMALL = [repr(round(n / 10**DIGITS, DIGITS)) for n in range(10 ** (DIGITS - 4))]


@lru_cache(maxsize=65_536)
def _cell(text: str) -> str:
    """A text as a cell of a CSV file, guarded against formulas, quoted where needed."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerow([guarded(text), ""])
    return stream.getvalue().removesuffix(",\n")


def _join_csv(path: Path, chunks: Sequence[Path]) -> None:
    with path.open("wb") as file:
        for number, chunk in enumerate(chunks):
            with chunk.open("rb") as source:
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
    """One product's answer as JSON values; `answers` has further columns, and is missing where there are none."""
    values: dict[str, Any] = {
        "labels": answers.labels[place],
        **({} if answers.ids is None else {"class_ids": answers.ids[place]}),
        "probabilities": [round(p, DIGITS) for p in answers.label_probabilities[place]],
        "path": list(answers.paths[place]),
        "answer": list(answers.answered[place]),
        "decision": answers.decisions[place],
        "picture_status": answers.picture_status[place],
        "title_status": answers.title_status[place],
    }
    if answers.further:
        values["answers"] = {
            column: _column_as_json(found.value(place), float(found.probabilities[place]))
            for column, found in answers.further.items()
        }
    return values


def _column_as_json(value: str, probability: float) -> dict[str, Any]:
    """A further column's value; both are null where the model has no answer."""
    if np.isnan(probability):
        return {"value": None, "probability": None}
    return {"value": value, "probability": round(probability, DIGITS)}


def _join_bytes(path: Path, chunks: Sequence[Path]) -> None:
    with path.open("wb") as file:
        for chunk in chunks:
            with chunk.open("rb") as source:
                shutil.copyfileobj(source, file)


def _write_parquet(path: Path, ids: Sequence[str], answers: Answers) -> None:
    columns = _columns(ids, answers)
    texts = {name: without_codes(columns[name].combine_chunks()) for name in columns.column_names}
    pq.write_table(pa.table(texts), path)


def _join_parquet(path: Path, chunks: Sequence[Path]) -> None:
    with pq.ParquetWriter(path, pq.read_schema(chunks[0])) as writer:
        for chunk in chunks:
            writer.write_table(pq.read_table(chunk))


SUFFIXES = {".csv": "csv", ".parquet": "parquet", ".pq": "parquet", ".jsonl": "jsonl", ".ndjson": "jsonl"}


def format_of(path: Path) -> Format:
    """The format that a file's suffix names; raises PredictionError for an unknown one."""
    if path.suffix.lower() not in SUFFIXES:
        raise PredictionError(f"{path}: unknown file format; give a name that ends in {', '.join(SUFFIXES)}")
    return FORMATS[SUFFIXES[path.suffix.lower()]]


FORMATS = {
    "csv": Format(_write_csv, _join_csv),
    "jsonl": Format(_write_jsonl, _join_bytes),
    "parquet": Format(_write_parquet, _join_parquet),
}
