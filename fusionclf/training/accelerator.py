"""The Accelerator of a run: device, processes and precision."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from torch import nn

from fusionclf.errors import SettingsError, did_you_mean
from fusionclf.memory import keep_freed_memory


def make_accelerator(
    precision: str = "auto", cpu: bool = False, *, track: str | None = None, folder: Path | None = None
) -> Accelerator:
    """An Accelerator for this process.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 where the hardware multiplies it fast.
        cpu: stay on the CPU even where there is a GPU.
        track: name of a tracker that logs every epoch.
        folder: where the tracker's files go.

    Raises:
        SettingsError: there is no such tracker, or it is not installed.
    """
    if track is not None:
        _check_tracker(track)
    mixed = "bf16" if precision == "bf16" or (precision == "auto" and has_fast_bf16(cpu)) else "no"
    if cpu or not torch.cuda.is_available():
        keep_freed_memory()
        share_cores()
    shared = AcceleratorState._shared_state
    if shared and shared.get("_mixed_precision") != mixed:
        AcceleratorState._reset_state()  # another run of this Python process had another precision
    return Accelerator(
        mixed_precision=mixed,
        cpu=cpu,
        step_scheduler_with_optimizer=False,
        log_with=track,
        project_dir=folder,
    )


def _check_tracker(name: str) -> None:
    allowed = sorted(LOGGER_TYPE_TO_CLASS)
    if name not in allowed:
        raise SettingsError(f"--track {name!r}: {did_you_mean(name, allowed)}")
    if name not in [str(tracker) for tracker in get_available_trackers()]:
        raise SettingsError(f"--track {name}: not installed; pip install {name}")


def share_cores() -> None:
    """Give each of torchrun's processes on this machine its share of the cores.

    torchrun gives them one core each, by an OMP_NUM_THREADS of 1; any other value is a person's and is kept.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("OMP_NUM_THREADS") == "1":
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // processes))


def to_device(model: nn.Module, device: torch.device) -> None:
    """Move a model in place; its convolutions' weights become channels last, as pictures are."""
    model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]


@dataclass(frozen=True)
class OneProcess:
    """What prediction asks of an Accelerator, for a process that answers by itself.

    Accelerate keeps one state for a whole Python process; of these there may be several, each with its precision.

    Attributes:
        device: where the model is.
        mixed_precision: "bf16" or "no".
    """

    device: torch.device
    mixed_precision: str
    process_index: int = 0
    num_processes: int = 1

    def autocast(self) -> torch.autocast:
        """The context in which a model runs."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed_precision == "bf16")


def one_process(precision: str = "auto", device: torch.device | str | None = None) -> OneProcess:
    """Device and precision as `make_accelerator` chooses them, without its state.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 where the hardware multiplies it fast.
        device: None for a GPU where there is one.
    """
    chosen = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    fast = precision == "auto" and has_fast_bf16(cpu=chosen.type == "cpu")
    return OneProcess(chosen, "bf16" if precision == "bf16" or fast else "no")


def has_fast_bf16(cpu: bool = False) -> bool:
    """Whether the GPU, or without one the CPU, has bfloat16 matrix instructions.

    AVX-512's bfloat16 products are none: without AMX, transformers run slower in bfloat16 than in single precision.
    """
    if torch.cuda.is_available() and not cpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported()


def device_name(accelerator: Accelerator) -> str:
    """What a person calls the device, with the number of processes and the precision."""
    device = accelerator.device
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return f"{accelerator.num_processes} x {name}, {accelerator.mixed_precision.replace('no', 'fp32')}"
