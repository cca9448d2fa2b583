"""Tensors in fewer bytes, without loss: in half precision where it holds every value, without zeros where most are.

The metadata of their file say which tensors are packed; they come back as they were.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
import torch
from pydantic import Field, TypeAdapter
from torch import Tensor, nn
from typing_extensions import TypedDict

from fusionclf.models.building import stored_build

PACKED = "packed"  # its name in a safetensors file's metadata
VALUES, COLUMNS, COUNTS = ".values", ".columns", ".counts"
LEAST_BYTES = 1024  # of a tensor that is worth packing
# A tensor without its zeros has at most this many numbers more than it stores for each, so that no file fills memory.
MOST_PER_VALUE, MOST_FREE = 2000, 2**24
BLOCK = 2**22  # numbers of a matrix that are converted at once
WIDTHS = (np.uint8, np.uint16, np.int32)  # of columns


class Packed(TypedDict):
    """Names of the tensors in half precision, and shapes of those without zeros."""

    half: list[str]
    sparse: dict[str, Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1)]]


SCHEMA = TypeAdapter(Packed)


def pack(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors to store and the metadata that `unpack` needs.

    Args:
        tensors: on the CPU, contiguous.
    """
    found: dict[str, Tensor] = {}
    packed: Packed = {"half": [], "sparse": {}}
    for name, tensor in tensors.items():
        stored = {name: tensor}
        if tensor.dtype == torch.float32 and tensor.nbytes >= LEAST_BYTES:
            values = _rows(tensor.numpy())
            dtype = torch.float16 if _fits_half(values) else torch.float32
            if _bytes_without_zeros(values, dtype.itemsize) < tensor.numel() * dtype.itemsize:
                stored = _without_zeros(name, values, dtype)
                packed["sparse"][name] = list(tensor.shape)
            else:
                stored = {name: tensor.to(dtype)}
            packed["half"] += [each for each, part in stored.items() if part.dtype == torch.float16]
        found |= stored
    return found, {PACKED: json.dumps(packed)}


def _blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Some rows at a time, so that nothing is computed that is as large as a large matrix."""
    size = max(BLOCK // max(values.shape[1], 1), 1)
    return (values[start : start + size] for start in range(0, len(values), size))


def _fits_half(values: np.ndarray) -> bool:
    """Whether half precision holds every value, by bits."""
    with np.errstate(over="ignore"):
        return all(
            np.array_equal(rows.astype(np.float16).astype(np.float32).view(np.int32), rows.view(np.int32))
            for rows in _blocks(values)
        )


def _bytes_without_zeros(values: np.ndarray, size: int) -> int:
    """Of `_without_zeros`, with `size` bytes a value."""
    present = int(np.count_nonzero(values.view(np.int32)))
    return present * (size + np.dtype(_column_type(values)).itemsize) + 4 * len(values)


def _column_type(values: np.ndarray) -> type:
    """The smallest type for a column's number."""
    return next(each for each in WIDTHS if values.shape[1] <= np.iinfo(each).max + 1)


def _without_zeros(name: str, values: np.ndarray, dtype: torch.dtype) -> dict[str, Tensor]:
    """Values other than zero, the column of each, and their number in each row."""
    kept, columns, counts = [], [], []
    for block in _blocks(values):
        present = block.view(np.int32) != 0  # by bits: -0.0 is kept
        kept.append(torch.from_numpy(block[present]).to(dtype))
        columns.append(torch.from_numpy(np.nonzero(present)[1].astype(_column_type(values))))
        counts.append(torch.from_numpy(present.sum(axis=1, dtype=np.int32)))
    return {
        name + VALUES: torch.cat(kept), name + COLUMNS: torch.cat(columns), name + COUNTS: torch.cat(counts)
    }  # fmt: skip


def _rows(values: np.ndarray) -> np.ndarray:
    """A tensor's values as a matrix; one of one dimension is one row."""
    return values.reshape(1, -1) if values.ndim < 2 else values.reshape(len(values), -1)


def read_packed(metadata: Mapping[str, str] | None) -> Packed:
    """Which tensors of a file are packed.

    Raises:
        ValueError: its metadata are damaged.
    """
    text = (metadata or {}).get(PACKED)
    return {"half": [], "sparse": {}} if text is None else SCHEMA.validate_json(text)


def unpack(tensors: dict[str, Tensor], packed: Packed) -> dict[str, Tensor]:
    """The tensors that were given to `pack`.

    Args:
        tensors: as they are stored.
        packed: as of `read_packed`.

    Raises:
        ValueError, KeyError: they do not go together.
    """
    found = dict(tensors)
    for name in packed["half"]:
        found[name] = found[name].float()
    for name, shape in packed["sparse"].items():
        values, columns, counts = (found.pop(name + end).numpy() for end in (VALUES, COLUMNS, COUNTS))
        check_shape(name, shape, len(values))
        rows = _rows(np.zeros(shape, np.float32))
        rows[np.repeat(np.arange(len(rows)), counts), columns] = values
        found[name] = torch.from_numpy(rows.reshape(shape))
    return found


def check_shape(name: str, shape: list[int], stored: int) -> None:
    """Raises ValueError where a tensor without its zeros is far larger than what is stored of it."""
    if math.prod(shape) > MOST_FREE + MOST_PER_VALUE * stored:
        raise ValueError(f"{name}: {stored} values stored for a tensor of shape {shape}")


def packed_shapes(stored: Mapping[str, tuple[int, ...]], packed: Packed) -> dict[str, tuple[int, ...]]:
    """Name → shape of each tensor that `unpack` gives, by the shapes of those that are stored.

    Raises:
        ValueError, KeyError: as of `unpack`.
    """
    found = dict(stored)
    for name, shape in packed["sparse"].items():
        (count,) = found.pop(name + VALUES)
        check_shape(name, shape, count)
        del found[name + COLUMNS], found[name + COUNTS]
        found[name] = tuple(shape)
    return found


@torch.no_grad()
def round_to_half(network: nn.Module) -> None:
    """Round the weight matrices of a network that is not trained to half precision, so that they are stored in it.

    They stay float32, as biases, norms and what half precision cannot hold do. A network that is built to take stored
    weights stays as it is.
    """
    if stored_build() is not None:
        return
    for parameter in network.parameters():
        if parameter.dtype == torch.float32 and parameter.ndim > 1:
            round_tensor_to_half(parameter)


@torch.no_grad()
def round_tensor_to_half(tensor: Tensor) -> None:
    """Round a float32 tensor to half precision, in place; one that half precision cannot hold stays as it is."""
    if not tensor.numel():
        return
    least, greatest = torch.aminmax(tensor)
    largest = torch.finfo(torch.float16).max
    if least >= -largest and greatest <= largest:  # not so where a value is not a number
        for rows in tensor.split(max(BLOCK * len(tensor) // tensor.numel(), 1)):
            rows.copy_(rows.half())
