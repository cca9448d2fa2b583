"""Checkpoints: safetensors and JSON in a folder that is written aside and renamed.

A resumed run continues from `last`; `previous` is the one before, for a damaged `last`. values.json holds
a digest of every other file and is written after them, so a file that is cut short, or that lost a bit, is noticed.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, as_tensor
from torch.optim import Optimizer

from fusionclf.errors import RunError, TrainingError
from fusionclf.files import check_present
from fusionclf.models.weights import contiguous

LAYOUT = 3  # raise when the files of a checkpoint change
VALUES = "values.json"
DAMAGED = (OSError, SafetensorError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on.

    Attributes:
        tensors: groups of named tensors, a file each: model, optimiser, random states, averaged weights.
        state: plain values.
    """

    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save_checkpoint(
    folder: Path, tensors: Mapping[str, Mapping[str, Tensor]], state: Mapping[str, Any]
) -> None:
    """Write `folder`/last; what was there becomes `folder`/previous.

    Raises:
        TrainingError: it cannot be written; the checkpoints that were there stay whole.
        RunError: the run folder was removed.
    """
    check_present(folder)
    aside, last, previous = (folder / name for name in (".writing", "last", "previous"))
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        digests = {}
        for group, named in tensors.items():
            file = aside / f"{group}.safetensors"
            save_file(contiguous(named), file)
            digests[file.name] = _digest(file)
        content = json.dumps({"layout": LAYOUT, "digests": digests, "values": state})
        text = json.dumps({"digest": _text_digest(content), "content": content})
        (aside / VALUES).write_text(text)
        _to_disk(aside)
        if last.exists():
            shutil.rmtree(previous, ignore_errors=True)
            last.rename(previous)
        aside.rename(last)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise TrainingError(
            f"{folder}: the checkpoint cannot be written ({error}); free space, then use --resume"
        ) from error


def load_checkpoint(folder: Path, warn: Callable[[str], None] | None = None) -> Checkpoint | None:
    """The newest whole checkpoint; None where there is none. `warn` gets a line about a damaged one.

    Raises:
        RunError: it was made by a version of fusionclf that kept checkpoints in another way.
    """
    damaged: list[Path] = []
    places = [folder / name for name in ("last", "previous") if (folder / name).is_dir()]
    for number, place in enumerate(places, start=1):
        try:
            checkpoint = _load(place)
            for bad in damaged:  # or the next checkpoint would push the whole one out for it
                shutil.rmtree(bad, ignore_errors=True)
            return checkpoint
        except DAMAGED as error:
            remedy = "falling back to the one before" if number < len(places) else "the stage begins anew"
            if warn is not None:
                warn(f"{place}: damaged ({error}); {remedy}")
            damaged.append(place)
    return None


def _load(place: Path) -> Checkpoint:
    written = json.loads((place / VALUES).read_text())
    if _text_digest(written["content"]) != written["digest"]:
        raise ValueError(f"{VALUES} is not what was written")
    held = json.loads(written["content"])
    if held["layout"] != LAYOUT:
        raise RunError(f"{place}: made by another version of fusionclf; finish it there, or use --overwrite")
    for name, digest in held["digests"].items():
        if _digest(place / name) != digest:
            raise ValueError(f"{name} is not what was written")
    tensors = {name.removesuffix(".safetensors"): load_file(place / name) for name in held["digests"]}
    return Checkpoint(tensors, held["values"])


def _text_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _to_disk(folder: Path) -> None:
    """Have the system write what it still holds in memory, so that a power cut finds whole files."""
    for path in [*folder.iterdir(), folder]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """An optimiser's state by parameter number and name, such as `3.exp_avg`."""
    return {
        f"{number}.{key}": as_tensor(value)
        for number, state in optimiser.state_dict()["state"].items()
        for key, value in state.items()
        if value is not None
    }


def restore_optimiser(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimiser of the same parameters its saved state back, each moment in its parameter's memory layout.

    Fused kernels pair weights and moments by their place in memory, and a checkpoint holds all tensors row-major.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state = optimiser.state_dict()
    state["state"] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        moments = state["state"].setdefault(int(number), {})
        moments[key] = _in_layout_of(parameters[int(number)], tensor)
    optimiser.load_state_dict(state)


def _in_layout_of(parameter: Tensor, tensor: Tensor) -> Tensor:
    """A copy of `tensor` with the strides of `parameter`; of another shape, such as a step count, as it is."""
    if tensor.shape != parameter.shape:
        return tensor
    return torch.empty_like(parameter, dtype=tensor.dtype, device=tensor.device).copy_(tensor)
