"""The one training loop, on Accelerate: CPU, one GPU, many GPUs, many machines.

The order of products and their augmentation depend on (seed, epoch, product) alone, each global batch is dealt
out to the processes, and the loss is divided by the weight of the global batch: so one process and several do
the same sums, and a run that was cut off resumes in the middle of an epoch and gives the same weights.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import broadcast
from torch import Tensor, nn

from fusionclf.batches import Batch, ProductSource
from fusionclf.config import TrainConfig
from fusionclf.memory import keep_freed_memory
from fusionclf.models import ProductClassifier, pretrained_encoders
from fusionclf.models.storage import fill_model
from fusionclf.models.weights import save_weights
from fusionclf.training.accelerator import to_device
from fusionclf.training.averaging import WeightAverage
from fusionclf.training.checkpointer import Checkpointer
from fusionclf.training.feeder import Feeder
from fusionclf.training.mixing import draw_mix, mix
from fusionclf.training.objective import Objective, build_losses
from fusionclf.training.optimisers import build_optimiser, build_schedule
from fusionclf.training.prediction import validate
from fusionclf.training.progress import Progress, StageState, refuse_not_finite
from fusionclf.training.stopping import StopRequest, stop_signals

SAVE_EVERY_S = 120.0


@dataclass(frozen=True)
class StageSpec:
    """One stage of training.

    Attributes:
        name: in the log.
        folder: of the stage's checkpoints; a stage that was begun there is resumed, a finished one is only loaded.
        train_rows, validation_rows: catalog rows.
        seed: of order and dropout.
        save_every_s: seconds between two checkpoints within an epoch.
        score_first: the first weights are a candidate for the best ones too, as epoch 0.
    """

    name: str
    folder: Path
    train_rows: np.ndarray
    validation_rows: np.ndarray
    seed: int = 0
    save_every_s: float = SAVE_EVERY_S
    score_first: bool = False


def train_stage(
    model: ProductClassifier,
    source: ProductSource,
    spec: StageSpec,
    settings: TrainConfig,
    accelerator: Accelerator,
    progress: Progress | None = None,
) -> StageState:
    """Train `model` in place; it ends with the weights of the best epoch.

    Args:
        model: what to train; its tasks are those of `source.targets`. It is moved to the accelerator's device.
        source: all products.
        spec: rows, folder and seed of the stage.
        settings: epochs, optimiser, schedule and the like.
        accelerator: made by `make_accelerator`.
        progress: called after steps and epochs.

    Raises:
        TrainingError: the loss is not finite, a checkpoint cannot be written, or a signal requested a stop.
    """
    to_device(model, accelerator.device)
    if accelerator.device.type == "cpu":
        keep_freed_memory()
    run = _Stage(model, source, spec, settings, accelerator, progress or Progress())
    with stop_signals() as request:
        if spec.score_first and not run.state.begun:
            run.keep_if_best(0, run.validate()[0])
        while not run.finished:
            run.train_epoch(request)
            run.end_epoch(request)
    run.release()
    fill_model(model, spec.folder / "best.safetensors")
    return run.state


class _Stage:
    """Model, optimiser and schedule of one stage, and where it stands."""

    def __init__(
        self,
        model: ProductClassifier,
        source: ProductSource,
        spec: StageSpec,
        settings: TrainConfig,
        accelerator: Accelerator,
        progress: Progress,
    ) -> None:
        # A model without a title encoder needs no titles; those for the linear text model take time to batch.
        self.source = source if model.text is not None else replace(source, titles=None)
        self.plain, self.spec, self.progress = model, spec, progress
        self.settings, self.accelerator = settings, accelerator
        self.feeder = Feeder(self.source, spec.train_rows, settings, spec.seed, accelerator)
        losses = build_losses(
            source, spec.train_rows, class_weights=settings.class_weights,
            label_smoothing=settings.label_smoothing, focal_gamma=settings.focal_gamma,
        )  # fmt: skip
        losses = {task: loss.to(accelerator.device) for task, loss in losses.items()}
        self.objective = Objective(losses, model.task_weights, source.targets)
        optimiser = build_optimiser(model, **settings.optimiser.model_dump())
        torch.manual_seed(spec.seed + accelerator.process_index)
        self.average = None if settings.ema_decay is None else WeightAverage(model, settings.ema_decay)
        self.checkpointer = Checkpointer(
            spec.folder, model, optimiser, self.average, accelerator, spec.save_every_s
        )
        self.state = self.checkpointer.restore(progress.warn) or StageState()
        self.schedule = self._schedule(optimiser)
        self.optimiser = accelerator.prepare(optimiser)
        self.frozen: bool | None = None
        several = source.targets["label"].ndim == 2  # labels a product
        self.score = "val_average_precision" if several else "val_top1"  # in the log
        if settings.compile:
            for encoder in pretrained_encoders(model):
                encoder.network.compile()

    def _schedule(self, optimiser: torch.optim.Optimizer) -> torch.optim.lr_scheduler.LambdaLR:
        steps = self.feeder.steps
        schedule = build_schedule(
            optimiser,
            steps=steps * self.settings.epochs,
            steps_per_epoch=steps,
            **self.settings.schedule.model_dump(),
        )
        for _ in range((self.state.epoch - 1) * steps + self.state.step):
            optimiser._opt_called = True  # pyright: ignore[reportAttributeAccessIssue]  # silences the order warning
            schedule.step()
        return schedule

    def _wrap(self, epoch: int) -> None:
        """Have Accelerate run the model, its encoders frozen in the first epochs where that is set.

        Which parameters learn must be known when processes are joined, so it is wrapped anew when that changes.
        """
        frozen = epoch <= self.settings.freeze_epochs
        if frozen == self.frozen:
            return
        self.frozen = frozen
        for encoder in pretrained_encoders(self.plain):
            encoder.freeze(frozen)
        self._unwrap()
        # It is on its device. Accelerate calls that cpu:0 where it joins CPU processes, and would copy all weights
        # there: the average would follow those that no longer learn.
        self.model = self.accelerator.prepare_model(self.plain, device_placement=False)

    def _unwrap(self) -> None:
        """Have Accelerate forget the model.

        It takes its mark of a prepared model to mean that one is still wrapped, and would train it in full precision.
        """
        self.accelerator.unwrap_model(self.plain, keep_fp32_wrapper=False)
        vars(self.plain).pop("_is_accelerate_prepared", None)

    def release(self) -> None:
        """Give the model back as it was lent, and let go of the optimiser's memory."""
        self._unwrap()
        for encoder in pretrained_encoders(self.plain):
            encoder.freeze(False)
        self.accelerator.free_memory()

    @property
    def finished(self) -> bool:
        """All epochs are done, or `patience` epochs gave no better score."""
        done, patience = self.state.epoch - 1, self.settings.patience
        stalled = patience is not None and done - self.state.best_epoch >= patience
        return done >= self.settings.epochs or stalled

    def train_epoch(self, request: StopRequest) -> None:
        """The steps of an epoch that are still to do."""
        state = self.state
        self._wrap(state.epoch)
        self.model.train()
        batches = self.feeder.batches(state.epoch)
        todo = batches[state.step :]
        self.checkpointer.begin(state)
        losses: list[Tensor] = []
        for lines, parts in zip(todo, self.feeder.micro_batches(todo, state.epoch), strict=True):
            losses.append(self._step(parts, lines[:, 0], state.step + len(losses)))
            step = state.step + len(losses)
            if not self.checkpointer.is_time_to_look(len(losses)) and step < len(batches):
                continue
            values, stop, save = self.checkpointer.agree(losses, bool(request), step == len(batches))
            refuse_not_finite(values, batches[state.step : step], state, self.source, self.spec.folder)
            state.loss_sum += sum(values)
            state.step, state.epoch_seconds = step, self.checkpointer.epoch_seconds()
            losses.clear()
            rate = step / len(batches) * self.feeder.shown / max(state.epoch_seconds, 1e-9)
            self.progress.step(state.epoch, step, len(batches), state.loss_sum / step, rate)
            if stop or save:
                self.checkpointer.save(state)
            self.checkpointer.stop_if(stop, request)

    def _step(self, parts: Sequence[Batch], rows: np.ndarray, step: int) -> Tensor:
        """One step of the optimiser over this process's micro-batches of a global batch; their loss."""
        settings, epoch, device = self.settings, self.state.epoch, self.accelerator.device
        how = draw_mix(settings.mixup, settings.cutmix, self.spec.seed, epoch, step)
        totals = self.objective.totals(rows)
        whole = torch.zeros((), device=device)
        for number, part in enumerate(parts, start=1):
            batch, share = part.to(device), 1.0
            if how is not None:
                batch, share = mix(batch, how)
            with nullcontext() if number == len(parts) else self.accelerator.no_sync(self.model):
                loss = self.objective(self.model(batch), batch, totals, share)
                # The processes' gradients are averaged, not added; the factor undoes that.
                loss = loss * self.accelerator.num_processes
                self.accelerator.backward(loss)
            whole += loss.detach()
        if settings.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update((epoch - 1) * self.feeder.steps + step)
        return whole

    @property
    def best_model(self) -> ProductClassifier:
        """The model whose weights are scored and saved."""
        return self.plain if self.average is None else self.average.model

    def validate(self) -> tuple[float, float]:
        """Top-1, or of several labels the average precision, in percent, and loss of the weights that would be kept."""
        if self.accelerator.num_processes > 1:
            _share_buffers(self.best_model)  # the main process's are those that are saved
        return validate(self.best_model, self.source, self.spec.validation_rows, self.accelerator)

    def keep_if_best(self, epoch: int, score: float) -> None:
        """Save the weights where their score is the best so far."""
        if self.settings.select_by == "last" or score > self.state.best_score:
            self.state.best_score, self.state.best_epoch = score, epoch
            if self.accelerator.is_main_process:
                save_weights(self.spec.folder / "best.safetensors", self.best_model.state_dict())

    def end_epoch(self, request: StopRequest) -> None:
        """Validate, keep the best weights, log, and save where it is worth its time."""
        state = self.state
        score, loss = self.validate()
        self.keep_if_best(state.epoch, score)
        row = {
            "stage": self.spec.name,
            "epoch": state.epoch,
            "train_loss": state.loss_sum / self.feeder.steps,
            "val_loss": loss,
            self.score: score,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "seconds": state.epoch_seconds,
            "pictures_per_second": self.feeder.shown / max(state.epoch_seconds, 1e-9),
        }
        state.log.append(row)
        self.progress.epoch(row)
        state.seconds += state.epoch_seconds
        state.epoch, state.step, state.loss_sum, state.epoch_seconds = state.epoch + 1, 0, 0.0, 0.0
        stop, due = self.checkpointer.agree_after_epoch(request)
        if stop or due or self.finished:
            self.checkpointer.save(state)
        self.checkpointer.stop_if(stop, request)


def _share_buffers(module: nn.Module) -> None:
    """Give every process the main process's batch statistics."""
    for buffer in module.buffers():
        if buffer.is_floating_point():
            buffer.copy_(broadcast(buffer.detach().clone(), from_process=0))  # pyright: ignore[reportArgumentType]
