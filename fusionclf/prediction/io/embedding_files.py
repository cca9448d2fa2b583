"""Embeddings as Parquet or npz: one file per chunk, then joined in constant memory; and read again."""

import hashlib
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fusionclf.errors import PredictionError, did_you_mean, near_path
from fusionclf.prediction.embeddings import VECTORS, Embeddings
from fusionclf.prediction.io.writers import Format

ATTRIBUTES = b"PANDAS_ATTRS"  # metadata that pandas.read_parquet turns into frame.attrs
TEXTS = ("picture_status", "title_status")
SUFFIXES = (".parquet", ".pq", ".npz")


def embedding_format(path: Path, model: str) -> Format:
    """How embeddings are written to a file.

    Args:
        path: its suffix names the format.
        model: as of `model_key`; the file keeps it.

    Raises:
        PredictionError: the suffix is of no format for embeddings.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise PredictionError(
            f"{path}: not a format for embeddings; give a name that ends in {', '.join(SUFFIXES)}"
        )
    if path.suffix.lower() == ".npz":
        return Format(partial(_write_npz, model=model), _join_npz)
    return Format(partial(_write_parquet, model=model), _join_parquet)


def model_key(run: Path, part: str) -> str:
    """Equal for the same trained model: a hash of its weights."""
    digest = hashlib.sha256(part.encode())
    for suffix in ("safetensors", "skops"):
        file = run / "model" / f"{part}.{suffix}"
        if file.is_file():
            with file.open("rb") as opened:
                digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()[:16]


def _write_parquet(path: Path, ids: Sequence[str], found: Embeddings, *, model: str) -> None:
    there = found.answered_at_all
    columns: dict[str, pa.Array] = {"id": pa.array(np.array(ids, object)[there], pa.string())}
    columns |= {name: _lists(values[there]) for name, values in found.arrays.items()}
    for name in TEXTS:
        columns[name] = pa.array(np.array(getattr(found, name), object)[there], pa.string())
    attributes = json.dumps({"classes": list(found.classes), "model": model}, ensure_ascii=False)
    table = pa.table(columns).replace_schema_metadata({ATTRIBUTES: attributes.encode()})
    pq.write_table(table, path, use_dictionary=False)


def _lists(values: np.ndarray) -> pa.Array:
    """(n, D) as n lists of D numbers; a row of NaN is null."""
    missing = pa.array(np.isnan(values[:, 0]))
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1], mask=missing)


def _join_parquet(path: Path, chunks: Sequence[Path]) -> None:
    with pq.ParquetWriter(path, pq.read_schema(chunks[0]), use_dictionary=False) as writer:
        for chunk in chunks:
            writer.write_table(pq.read_table(chunk))


def _write_npz(path: Path, ids: Sequence[str], found: Embeddings, *, model: str) -> None:
    there = found.answered_at_all
    arrays = {name: values[there] for name, values in found.arrays.items()}
    for name in TEXTS:
        arrays[name] = np.array(getattr(found, name), "U10")[there]
    with path.open("wb") as file:
        arrays |= {"id": np.array(ids, "U")[there], "classes": np.array(found.classes, "U")}
        np.savez(file, allow_pickle=False, **arrays, model=np.array(model))


ONCE = ("classes", "model")  # arrays of an npz file that are the same in every chunk


def _join_npz(path: Path, chunks: Sequence[Path]) -> None:
    """Each array of all chunks, one after the other, without holding more than a chunk of it in memory."""
    with np.load(chunks[0]) as first:
        names = list(first.files)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in names:
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                if name in ONCE:
                    np.lib.format.write_array(member, next(_arrays(chunks[:1], name)), allow_pickle=False)
                else:
                    _write_joined(member, chunks, name)


def _write_joined(member: Any, chunks: Sequence[Path], name: str) -> None:
    shapes = [(array.shape, array.dtype) for array in _arrays(chunks, name)]
    dtype = max((own for _, own in shapes), key=lambda own: own.itemsize)  # of texts, the longest
    count = sum(shape[0] for shape, _ in shapes)
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (count, *shapes[0][0][1:]),
    }
    np.lib.format.write_array_header_2_0(member, header)
    for array in _arrays(chunks, name):
        member.write(np.ascontiguousarray(array, dtype).tobytes())


def _arrays(chunks: Sequence[Path], name: str) -> Iterator[np.ndarray]:
    for chunk in chunks:
        with np.load(chunk) as arrays:
            yield arrays[name]


@dataclass(frozen=True)
class StoredVectors:
    """One kind of embedding from a file.

    Attributes:
        ids: n product ids; those without this embedding are left out.
        vectors: (n, D) float32 of length 1.
        model: which model computed them, as of `model_key`.
        left_out: products of the file without this embedding.
    """

    ids: np.ndarray
    vectors: np.ndarray
    model: str
    left_out: int

    def __len__(self) -> int:
        return len(self.ids)


def read_vectors(path: Path, kind: str = "joint") -> StoredVectors:
    """One kind of embedding of a file that `fusionclf embed` wrote: joint, picture or text.

    Raises:
        PredictionError: the file is missing, holds no such embedding, or is of another format.
    """
    if not path.is_file():
        raise PredictionError(f"{path}: no such file; write it by `fusionclf embed --out`{near_path(path)}")
    try:
        is_npz = path.suffix.lower() == ".npz"
        ids, vectors, model = (_read_npz if is_npz else _read_parquet)(path, kind)
        _check_vectors(ids, vectors, kind)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, pa.ArrowException) as error:
        remedy = "give a file that `fusionclf embed` wrote"
        raise PredictionError(f"{path}: cannot be read as embeddings ({error}); {remedy}") from error
    there = ~np.isnan(vectors[:, 0])
    return StoredVectors(
        ids[there], vectors[there].astype(np.float32, copy=False), model, int((~there).sum())
    )


def _read_npz(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray, str]:
    with np.load(path, allow_pickle=False) as arrays:
        _check_kind(path, kind, arrays.files)
        return arrays["id"].astype(object), arrays[kind], str(arrays["model"])


def _read_parquet(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray, str]:
    schema = pq.read_schema(path)
    _check_kind(path, kind, schema.names)
    metadata = schema.metadata or {}
    if ATTRIBUTES not in metadata:
        raise ValueError("it does not name its model")
    table = pq.read_table(path, columns=["id", kind])
    model = json.loads(metadata[ATTRIBUTES])["model"]
    return table["id"].to_numpy().astype(object), _matrix(table[kind], kind), str(model)


def _matrix(lists: pa.ChunkedArray, kind: str) -> np.ndarray:
    """n lists of D numbers, written by `_lists` or by pandas, as (n, D) float32; null becomes a row of NaN.

    Raises:
        ValueError: the column holds no lists of numbers, or lists of different lengths.
    """
    own = lists.type
    is_list = pa.types.is_list(own) or pa.types.is_large_list(own) or pa.types.is_fixed_size_list(own)
    if not is_list or not pa.types.is_floating(own.value_type):
        raise ValueError(f"{kind!r} holds {own}, not lists of floating-point numbers")
    found = lists.drop_null().cast(pa.large_list(own.value_type)).combine_chunks()
    widths = sorted(found.value_lengths().unique().to_pylist()) or [1]
    if len(widths) > 1:
        raise ValueError(f"{kind!r} holds vectors of {widths[0]} and of {widths[-1]} numbers")
    vectors = np.full((len(lists), widths[0]), np.nan, np.float32)
    there = lists.is_valid().to_numpy()
    vectors[there] = found.flatten().to_numpy(zero_copy_only=False).reshape(-1, widths[0])
    return vectors


def _check_vectors(ids: np.ndarray, vectors: np.ndarray, kind: str) -> None:
    """Raises ValueError unless there is a vector of floating-point numbers for each id."""
    if vectors.dtype.kind != "f":
        raise ValueError(f"{kind!r} holds {vectors.dtype}, not floating-point numbers")
    if vectors.ndim != 2 or ids.shape != vectors.shape[:1] or not vectors.shape[1]:
        raise ValueError(f"{kind!r} has the shape {vectors.shape}, not one vector for each of {len(ids)} ids")


def _check_kind(path: Path, kind: str, columns: Sequence[str]) -> None:
    known = [name for name in VECTORS if name in columns]
    if not known or "id" not in columns:
        raise PredictionError(f"{path}: holds no embeddings; give a file that `fusionclf embed` wrote")
    if kind not in known:
        raise PredictionError(f"{path}: holds no {kind!r} embeddings; {did_you_mean(kind, known)}")
