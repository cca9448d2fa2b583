"""Named tensors on disk: a safetensors file with a checksum of its tensors."""

import zlib
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from fusionclf.errors import RunError
from fusionclf.files import replacing
from fusionclf.models.packing import pack, read_packed, unpack
from fusionclf.runfolder import AGAIN, one_line

CHECKSUM = "crc32"  # its name in a safetensors file's metadata


def save_weights(path: Path, tensors: Mapping[str, Tensor], *, packed: bool = False) -> None:
    """One safetensors file with a checksum of its tensors, written aside and renamed.

    Args:
        path: the file.
        tensors: by name.
        packed: in fewer bytes where that loses nothing.
    """
    named, metadata = pack(contiguous(tensors)) if packed else (contiguous(tensors), {})
    with replacing(path) as aside:
        save_file(named, aside, {CHECKSUM: _checksum(named), **metadata})


def stored_checksum(path: Path) -> str | None:
    """The checksum that a file of weights was written with; None for one without."""
    with safe_open(path, "pt") as opened:
        return (opened.metadata() or {}).get(CHECKSUM)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Raises RunError where the file is missing or damaged."""
    try:
        with safe_open(path, "pt") as opened:
            metadata = opened.metadata() or {}
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(one_line(f"cannot be read as safetensors ({error}); {AGAIN}", path)) from error
    written = metadata.get(CHECKSUM)
    if written is not None and written != _checksum(tensors):
        raise RunError(f"{path}: damaged (its checksum does not match); {AGAIN}")
    try:
        return unpack(tensors, read_packed(metadata))
    except (ValueError, KeyError, IndexError, TypeError) as error:
        raise RunError(one_line(f"its tensors cannot be unpacked ({error}); {AGAIN}", path)) from error


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """The CRC-32 of contiguous tensors' bytes, in the order of their names."""
    found = 0
    for name in sorted(tensors):
        if tensors[name].numel():
            found = zlib.crc32(tensors[name].reshape(-1).view(torch.uint8).numpy().data, found)
    return f"{found:08x}"


def contiguous(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """CPU copies in row-major order, as safetensors wants them."""
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
