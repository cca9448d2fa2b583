"""The Accelerator of a run: device, processes and precision."""

from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers

from fusionclf.errors import SettingsError, did_you_mean


def make_accelerator(
    precision: str = "auto", cpu: bool = False, *, track: str | None = None, folder: Path | None = None
) -> Accelerator:
    """An Accelerator for this process.

    Args:
        precision: "fp32", "bf16", or "auto": bf16 where the hardware multiplies it fast.
        cpu: stay on the CPU even where there is a GPU.
        track: name of a tracker that is told of every epoch.
        folder: where the tracker's files go.

    Raises:
        SettingsError: there is no such tracker, or it is not installed.
    """
    if track is not None:
        _check_tracker(track)
    mixed = "bf16" if precision == "bf16" or (precision == "auto" and has_fast_bf16(cpu)) else "no"
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


def has_fast_bf16(cpu: bool = False) -> bool:
    """Whether the GPU, or without one the CPU, has bfloat16 matrix instructions."""
    if torch.cuda.is_available() and not cpu:
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def device_name(accelerator: Accelerator) -> str:
    """What a person calls the device, with the number of processes and the precision."""
    device = accelerator.device
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"CPU, {torch.get_num_threads()} threads"
    )
    return f"{accelerator.num_processes} x {name}, {accelerator.mixed_precision.replace('no', 'fp32')}"
