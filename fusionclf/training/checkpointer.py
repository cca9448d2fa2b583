"""When a stage is saved, and what: all that another process needs to resume it exactly."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from fusionclf.errors import RunError, Stopped
from fusionclf.runfolder import AGAIN, one_line
from fusionclf.training.averaging import WeightAverage
from fusionclf.training.checkpoints import (
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from fusionclf.training.progress import StageState
from fusionclf.training.stopping import StopRequest

LOOK_EVERY_S = 2.0  # between two looks at the loss, where a look waits for a GPU or for other processes
LOOK_EVERY_STEPS = 20
# Short epochs share a checkpoint: the next one comes after so many times the seconds that the last one took.
TRAINED_PER_SAVED = 10


class Checkpointer:
    """Saves and restores one stage, and decides when.

    Args:
        folder: the stage's checkpoints.
        model, optimiser: as built, before Accelerate wraps them.
        average: the averaged weights, or None.
        accelerator: whose main process writes.
        every_s: seconds between two checkpoints within an epoch.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        optimiser: Optimizer,
        average: WeightAverage | None,
        accelerator: Accelerator,
        every_s: float,
    ) -> None:
        self.folder, self.model, self.optimiser, self.average = folder, model, optimiser, average
        self.accelerator, self.every_s = accelerator, every_s
        self.look_every = 1
        self.saved, self.cost_s = time.perf_counter(), 0.0

    def begin(self, state: StageState) -> None:
        """An epoch begins or is resumed."""
        self.looked = time.perf_counter()
        self.epoch_began = self.looked - state.epoch_seconds

    def epoch_seconds(self) -> float:
        """Time spent in this epoch, by this process and by those that it resumes."""
        return time.perf_counter() - self.epoch_began

    def is_time_to_look(self, steps: int) -> bool:
        """Whether so many steps since the last look are enough; the same on all processes."""
        return steps >= self.look_every

    def agree(self, losses: list[Tensor], request: bool, epoch_ends: bool) -> tuple[list[float], bool, bool]:
        """What all processes do next, which none may decide by its own clock.

        Args:
            losses: of the steps since the last look, on this process.
            request: whether this process got a signal to stop.
            epoch_ends: validation comes next; what is worth a checkpoint is saved before it.

        Returns:
            The steps' losses over all processes, whether to stop, and whether to save.
        """
        now = time.perf_counter()
        due = now - self.saved > (self.every_s / 10 if epoch_ends else self.every_s)
        own = [float(request), float(due), (now - self.looked) / len(losses)]
        self.looked = now
        local = torch.cat([torch.stack(losses), losses[0].new_tensor(own)])
        *values, stop, save, step_s = self.accelerator.reduce(local, "mean").tolist()  # pyright: ignore
        waits = self.accelerator.device.type != "cpu" or self.accelerator.num_processes > 1
        self.look_every = min(max(int(LOOK_EVERY_S / max(step_s, 1e-9)), 1), LOOK_EVERY_STEPS) if waits else 1
        return values, stop > 0, save > 0

    def agree_after_epoch(self, request: StopRequest) -> tuple[bool, bool]:
        """Whether to stop, and whether to save, as any process wants; every process must call it."""
        due = time.perf_counter() - self.saved >= min(TRAINED_PER_SAVED * self.cost_s, self.every_s)
        own = torch.tensor([float(bool(request)), float(due)], device=self.accelerator.device)
        stop, save = self.accelerator.reduce(own, "mean").tolist()  # pyright: ignore
        return stop > 0, save > 0

    def save(self, state: StageState) -> None:
        """Write a checkpoint; returns when it is there, on every process."""
        began = time.perf_counter()
        random = self._random()
        if self.accelerator.is_main_process:
            tensors = {
                "model": self.model.state_dict(),
                "optimiser": optimiser_tensors(self.optimiser),
                "random": random,
            }
            if self.average is not None:
                tensors["average"] = self.average.model.state_dict()
            save_checkpoint(self.folder, tensors, vars(state))
        self.accelerator.wait_for_everyone()
        self.saved = time.perf_counter()
        self.cost_s = self.saved - began

    def stop_if(self, stop: bool, request: StopRequest) -> None:
        """Raises Stopped where `stop` is true; call it after `save`."""
        if stop:
            raise Stopped(
                "stopped; all work so far is saved: resume with the same command and --resume",
                request.number or signal.SIGTERM,  # another process of this run got it
            )

    def restore(self, warn: Callable[[str], None]) -> StageState | None:
        """Take over the newest whole checkpoint; None where there is none."""
        if self.accelerator.is_main_process:
            for left in self.folder.glob(".best.*"):  # what a killed process had begun to write
                left.unlink(missing_ok=True)
        checkpoint = load_checkpoint(self.folder, warn if self.accelerator.is_main_process else None)
        if checkpoint is None:
            return None
        try:
            self.model.load_state_dict(checkpoint.tensors["model"])
            restore_optimiser(self.optimiser, checkpoint.tensors["optimiser"])
            if self.average is not None:
                self.average.model.load_state_dict(checkpoint.tensors["average"])
            own, state = checkpoint.tensors["random"], StageState(**checkpoint.state)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:  # whole, and of another run
            raise RunError(one_line(f"is of another run ({error}); {AGAIN}", self.folder)) from error
        rank = self.accelerator.process_index
        if f"cpu.{rank}" in own:  # a run may be resumed with another number of processes
            torch.set_rng_state(own[f"cpu.{rank}"])
        if f"gpu.{rank}" in own and self.accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(own[f"gpu.{rank}"], self.accelerator.device)
        return state

    def _random(self) -> dict[str, Tensor]:
        """Every process's random states, by kind and process."""
        states = {"cpu": torch.get_rng_state()}
        if self.accelerator.device.type == "cuda":
            states["gpu"] = torch.cuda.get_rng_state(self.accelerator.device)
        if self.accelerator.num_processes == 1:
            return {f"{kind}.0": state for kind, state in states.items()}
        gathered = {
            kind: self.accelerator.gather(state.to(self.accelerator.device)[None])  # (processes, bytes)
            for kind, state in states.items()
        }
        return {f"{kind}.{n}": state.cpu() for kind, all_ in gathered.items() for n, state in enumerate(all_)}  # pyright: ignore
