"""When a stage is saved, and what: all that another process needs to go on as this one would have."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.optim import Optimizer

from fusionclf.errors import Stopped
from fusionclf.training.averaging import WeightAverage
from fusionclf.training.checkpoints import (
    load_checkpoint,
    optimiser_tensors,
    restore_optimiser,
    save_checkpoint,
)
from fusionclf.training.progress import StageState
from fusionclf.training.stopping import StopWish


class Saver:
    """Saves and restores one stage.

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
        self.saved = time.perf_counter()

    def begin(self) -> None:
        """An epoch begins: what came before it is saved."""
        self.saved = time.perf_counter()

    def agree(self, losses: list[Tensor], wish: bool, epoch_ends: bool) -> tuple[list[float], bool, bool]:
        """What all processes do next, which none may decide by its own clock.

        Args:
            losses: of the steps since the last look, on this process.
            wish: whether this process was asked to stop.
            epoch_ends: validation comes next; what is worth a checkpoint is saved before it.

        Returns:
            The steps' losses over all processes, whether to stop, and whether to save.
        """
        waited = time.perf_counter() - self.saved
        due = waited > (self.every_s / 10 if epoch_ends else self.every_s)
        told = torch.stack([*losses, losses[0].new_tensor(wish), losses[0].new_tensor(due)])
        *values, stop, save = self.accelerator.reduce(told, "mean").tolist()  # pyright: ignore
        return values, stop > 0, save > 0

    def any(self, wish: StopWish) -> bool:
        """Whether any process was asked to stop; every process must ask."""
        told = torch.tensor(float(bool(wish)), device=self.accelerator.device)
        return float(self.accelerator.reduce(told, "mean")) > 0  # pyright: ignore[reportArgumentType]

    def save(self, state: StageState) -> None:
        """Write a checkpoint; returns when it is there, on every process."""
        self.saved = time.perf_counter()
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

    def stop_if(self, stop: bool, wish: StopWish) -> None:
        """Raises Stopped where `stop` is true; call it after `save`."""
        if stop:
            raise Stopped(
                "stopped; all work so far is saved: go on with the same command and --resume",
                wish.number or 15,  # another process of this run was asked
            )

    def restore(self, warn: Callable[[str], None]) -> StageState | None:
        """Take over the newest whole checkpoint; None where there is none."""
        checkpoint = load_checkpoint(self.folder, warn)
        if checkpoint is None:
            return None
        self.model.load_state_dict(checkpoint.tensors["model"])
        restore_optimiser(self.optimiser, checkpoint.tensors["optimiser"])
        if self.average is not None:
            self.average.model.load_state_dict(checkpoint.tensors["average"])
        own = checkpoint.tensors["random"]
        rank = self.accelerator.process_index
        if f"cpu.{rank}" in own:  # a run may go on with another number of processes
            torch.set_rng_state(own[f"cpu.{rank}"])
        if f"gpu.{rank}" in own and self.accelerator.device.type == "cuda":
            torch.cuda.set_rng_state(own[f"gpu.{rank}"], self.accelerator.device)
        return StageState(**checkpoint.figures)

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
