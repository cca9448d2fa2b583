"""The one training loop, on Accelerate: CPU, one GPU, many GPUs, many machines.

The order of products and their augmentation depend on (seed, epoch, product) alone, each global batch is dealt
out to the processes, and the loss is divided by the weight of the global batch: so one process and several do
the same sums, and a run that was cut off goes on in the middle of an epoch as if it had not been.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import Batch, ProductSource, count_batches, in_batches, shuffled
from fusionclf.config import TrainConfig
from fusionclf.errors import TrainingError
from fusionclf.models import ProductClassifier
from fusionclf.models.product import NetworkAlone
from fusionclf.training.checkpoints import (
    load_checkpoint,
    load_weights,
    restore_optimiser,
    save_checkpoint,
    save_weights,
)
from fusionclf.training.losses import WeightedCrossEntropy, inverse_frequency_weights
from fusionclf.training.optimisers import build_optimiser, build_schedule

SAVE_EVERY_S = 120.0
EVALUATION_BATCH = 128


@dataclass
class Progress:
    """What a training stage tells its caller; every function may be replaced."""

    step: Callable[[int, int, int, float], None] = lambda epoch, step, steps, loss: None
    epoch: Callable[[dict[str, Any]], None] = lambda row: None
    warn: Callable[[str], None] = lambda text: None


@dataclass
class StageState:
    """Where a stage stands; saved with every checkpoint."""

    epoch: int = 1
    step: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    epoch_seconds: float = 0.0
    best_score: float = -1.0
    best_epoch: int = 0
    log: list[dict[str, Any]] = field(default_factory=list)


def train_stage(
    model: ProductClassifier,
    source: ProductSource,
    train_rows: np.ndarray,
    validation_rows: np.ndarray,
    settings: TrainConfig,
    accelerator: Accelerator,
    folder: Path,
    *,
    stage: str,
    seed: int = 0,
    progress: Progress | None = None,
) -> StageState:
    """Train `model` in place; it ends with the weights of the best epoch.

    Args:
        model: what to train; its tasks are those of `source.targets`.
        source: all products.
        train_rows, validation_rows: catalog rows.
        settings: epochs, optimiser, schedule and the like.
        accelerator: made by `make_accelerator`.
        folder: the stage's checkpoints; a stage that was begun there goes on, a finished one is only loaded.
        stage: name in the log.
        seed: of order and dropout.
        progress: told of steps and epochs.

    Raises:
        TrainingError: the loss is not finite, a checkpoint cannot be written, or a signal asked to stop.
    """
    run = _Stage(model, source, train_rows, settings, accelerator, folder, seed, progress or Progress())
    while run.state.epoch <= settings.epochs:
        with _stop_signals() as stopped:
            run.train_epoch(stopped)
        run.end_epoch(stage, validation_rows)
    model.load_state_dict(load_weights(folder / "best.safetensors"))
    return run.state


class _Stage:
    """Model, optimiser and schedule of one stage, and where it stands."""

    def __init__(
        self,
        model: ProductClassifier,
        source: ProductSource,
        rows: np.ndarray,
        settings: TrainConfig,
        accelerator: Accelerator,
        folder: Path,
        seed: int,
        progress: Progress,
    ) -> None:
        self.plain, self.source, self.rows = model, source, rows
        self.settings, self.accelerator, self.folder = settings, accelerator, folder
        self.seed, self.progress = seed, progress
        self.smallest = 2 * accelerator.num_processes  # batch normalisation needs two pictures a process
        self.steps = count_batches(len(rows), settings.batch_size, self.smallest)
        self.losses = {
            task: self._loss(task, head.out_features).to(accelerator.device)  # pyright: ignore[reportArgumentType]
            for task, head in model.heads.items()
        }
        optimiser = build_optimiser(model, **settings.optimiser.model_dump())
        schedule = build_schedule(
            optimiser,
            steps=self.steps * settings.epochs,
            steps_per_epoch=self.steps,
            **settings.schedule.model_dump(),
        )
        torch.manual_seed(seed)
        self.state = StageState()
        self._restore(model, optimiser)
        for _ in range((self.state.epoch - 1) * self.steps + self.state.step):
            optimiser._opt_called = True  # pyright: ignore[reportAttributeAccessIssue]  # silences the order warning
            schedule.step()
        self.schedule = schedule
        self.model, self.optimiser = accelerator.prepare(model, optimiser)
        # What is fitted after training has no say in which epoch is best.
        self.scored = self.model if model.wide is None else NetworkAlone(model)
        # A network without a title encoder needs no titles; those for the expert take time to batch.
        self.read = source if model.text is not None else replace(source, titles=None)

    def _loss(self, task: str, classes: int) -> WeightedCrossEntropy:
        weights = torch.ones(classes)
        if task == "label" and self.settings.class_weights == "inverse":
            weights = inverse_frequency_weights(self.source.targets[task][self.rows], classes)
        return WeightedCrossEntropy(weights, self.settings.label_smoothing)

    def _restore(self, model: ProductClassifier, optimiser: torch.optim.Optimizer) -> None:
        checkpoint = load_checkpoint(self.folder, self.progress.warn)
        if checkpoint is None:
            return
        model.load_state_dict(checkpoint.model)
        restore_optimiser(optimiser, checkpoint.optimiser)
        torch.set_rng_state(checkpoint.random)
        self.state = StageState(**checkpoint.figures)

    def train_epoch(self, stopped: threading.Event) -> None:
        """The steps of an epoch that are still to do."""
        state, rank, world = self.state, self.accelerator.process_index, self.accelerator.num_processes
        self.model.train()
        batches = list(
            in_batches(shuffled(self.rows, self.seed, state.epoch), self.settings.batch_size, self.smallest)
        )
        started = saved = time.perf_counter()
        already = state.epoch_seconds
        loss_sum = torch.zeros((), device=self.accelerator.device)
        for step in range(state.step, len(batches)):
            batch = self.read.training(batches[step][rank::world], state.epoch).to(self.accelerator.device)
            loss_sum += self._step(batch, batches[step]).detach()
            now = time.perf_counter()
            if step % 20 == 19 or step + 1 == len(batches) or stopped.is_set() or now - saved > SAVE_EVERY_S:
                state.step = step + 1
                state.epoch_seconds = already + now - started
                state.loss_sum += self._checked(loss_sum, batches[step])
                loss_sum.zero_()
                self.progress.step(state.epoch, state.step, len(batches), state.loss_sum / state.step)
            if stopped.is_set() or (now - saved > SAVE_EVERY_S and step + 1 < len(batches)):
                saved = now
                self.save()
            if stopped.is_set():
                raise TrainingError(
                    "stopped; all work so far is saved: go on with the same command and --resume"
                )

    def _step(self, batch: Batch, rows: np.ndarray) -> Tensor:
        logits = self.model(batch)
        loss = torch.zeros((), device=self.accelerator.device)
        for task, weight in self.plain.task_weights.items():
            whole = self.losses[task].total(self.source.targets[task][rows])
            if whole > 0:
                loss = loss + weight / whole * self.losses[task](logits[task], batch.targets[task])
        # The processes' gradients are averaged, not added; the factor undoes that.
        loss = loss * self.accelerator.num_processes
        self.accelerator.backward(loss)
        if self.settings.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        return loss

    def _checked(self, loss_sum: Tensor, rows: np.ndarray) -> float:
        value = float(self.accelerator.reduce(loss_sum, "mean"))  # pyright: ignore[reportArgumentType]
        if not np.isfinite(value):
            raise TrainingError(
                f"the loss is not finite in epoch {self.state.epoch}, step {self.state.step} (catalog rows "
                f"{rows[:4].tolist()} …); lower train.optimiser.learning_rate or set train.clip_norm, then --overwrite"
            )
        return value

    def end_epoch(self, stage: str, validation_rows: np.ndarray) -> None:
        """Validate, keep the best weights, log, and save."""
        state = self.state
        score, loss = validate(self.scored, self.read, validation_rows, self.accelerator)
        if self.settings.select_by == "last" or score > state.best_score:
            state.best_score, state.best_epoch = score, state.epoch
            if self.accelerator.is_main_process:
                save_weights(self.folder / "best.safetensors", self.plain.state_dict())
        row = {
            "stage": stage,
            "epoch": state.epoch,
            "train_loss": state.loss_sum / self.steps,
            "val_loss": loss,
            "val_top1": score,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "seconds": state.epoch_seconds,
            "pictures_per_second": len(self.rows) / max(state.epoch_seconds, 1e-9),
        }
        state.log.append(row)
        self.progress.epoch(row)
        state.seconds += state.epoch_seconds
        state.epoch, state.step, state.loss_sum, state.epoch_seconds = state.epoch + 1, 0, 0.0, 0.0
        self.save()

    def save(self) -> None:
        """A checkpoint from which another process goes on as this one would have."""
        if self.accelerator.is_main_process:
            save_checkpoint(self.folder, self.plain, self.optimiser, vars(self.state))
        self.accelerator.wait_for_everyone()


@torch.inference_mode()
def predict_logits(
    model: torch.nn.Module,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """(n, K) float32 logits of the task `label`, on the CPU, every row exactly once, on every process."""
    model.eval()
    rank, world = accelerator.process_index, accelerator.num_processes
    own = rows[rank::world]
    parts: list[Tensor] = []
    for batch_rows in in_batches(own, EVALUATION_BATCH):
        with accelerator.autocast():
            logits = model(source.evaluation(batch_rows).to(accelerator.device))["label"]
        parts.append(logits.float())
        if progress is not None:
            progress(min(len(parts) * EVALUATION_BATCH, len(own)) * world, len(rows))
    local = torch.cat(parts) if parts else torch.zeros(0, 1)
    if world == 1:
        return local.cpu()
    longest = -(-len(rows) // world)
    padded = local.new_zeros(longest, local.shape[1])
    padded[: len(local)] = local
    gathered: Any = accelerator.gather(padded)
    dealt = (
        gathered.view(world, longest, -1).transpose(0, 1).reshape(world * longest, -1)
    )  # back in row order
    return dealt[: len(rows)].cpu()


def validate(
    model: torch.nn.Module, source: ProductSource, rows: np.ndarray, accelerator: Accelerator
) -> tuple[float, float]:
    """Top-1 in percent and mean cross-entropy of the label over `rows`."""
    logits = predict_logits(model, source, rows, accelerator)
    targets = torch.from_numpy(source.targets["label"][rows])
    score = (logits.argmax(dim=1) == targets).double().mean().item() * 100
    return score, torch.nn.functional.cross_entropy(logits, targets).item()


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set; a second SIGINT interrupts at once."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return

    def stop(number: int, _: Any) -> None:
        if stopped.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
