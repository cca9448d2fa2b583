"""Checkpoints: safetensors and JSON in a folder that is written aside and renamed.

`last` is what a resumed run goes on from; `previous` is the one before, should `last` be damaged.
"""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from fusionclf.errors import RunError, TrainingError
from fusionclf.runfolder import replacing

DAMAGED = (OSError, SafetensorError, ValueError, KeyError)


@dataclass(frozen=True)
class Checkpoint:
    """What a run needs to go on: tensors of the model and the optimiser, and plain figures."""

    model: dict[str, Tensor]
    optimiser: dict[str, Tensor]
    random: Tensor
    figures: dict[str, Any]


def save_checkpoint(folder: Path, model: nn.Module, optimiser: Optimizer, figures: dict[str, Any]) -> None:
    """Write `folder`/last; what was there becomes `folder`/previous.

    Raises:
        TrainingError: it cannot be written; the checkpoints that were there stay whole.
    """
    aside, last, previous = (folder / name for name in (".writing", "last", "previous"))
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        save_file(contiguous(model.state_dict()), aside / "model.safetensors")
        save_file({**_flat(optimiser), "random": torch.get_rng_state()}, aside / "optimiser.safetensors")
        (aside / "figures.json").write_text(json.dumps(figures))
        if last.exists():
            shutil.rmtree(previous, ignore_errors=True)
            last.rename(previous)
        aside.rename(last)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(aside, ignore_errors=True)
        raise TrainingError(
            f"{folder}: the checkpoint cannot be written ({error}); free space, then go on with --resume"
        ) from error


def load_checkpoint(folder: Path, warn: Any = None) -> Checkpoint | None:
    """The newest whole checkpoint; None where there is none. `warn` is told of a damaged one."""
    for name in ("last", "previous"):
        place = folder / name
        if not place.is_dir():
            continue
        try:
            optimiser = load_file(place / "optimiser.safetensors")
            figures = json.loads((place / "figures.json").read_text())
            return Checkpoint(
                load_file(place / "model.safetensors"), optimiser, optimiser.pop("random"), figures
            )
        except DAMAGED as error:
            if warn is not None:
                warn(f"{place}: damaged ({error}); falling back to the one before")
    return None


def restore_optimiser(optimiser: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Give an optimiser of the same parameters its saved state back."""
    state = optimiser.state_dict()
    state["state"] = {}
    for name, tensor in tensors.items():
        number, _, key = name.partition(".")
        state["state"].setdefault(int(number), {})[key] = tensor
    optimiser.load_state_dict(state)


def save_weights(path: Path, tensors: dict[str, Tensor]) -> None:
    """One safetensors file, written aside and renamed."""
    with replacing(path) as aside:
        save_file(contiguous(tensors), aside)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Raises RunError where the file is missing or damaged."""
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{path}: cannot be read as safetensors ({error}); train again with --overwrite"
        ) from error


def contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """CPU copies in row-major order, as safetensors wants them."""
    return {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}


def _flat(optimiser: Optimizer) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for number, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            if value is not None:
                tensors[f"{number}.{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    return tensors
