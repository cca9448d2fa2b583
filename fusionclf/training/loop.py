"""The one training loop, on Accelerate: CPU, one GPU, many GPUs, many machines.

The order of products and their augmentation depend on (seed, epoch, product) alone, each global batch is dealt
out to the processes, and the loss is divided by the weight of the global batch: so one process and several do
the same sums, and a run that was cut off goes on in the middle of an epoch as if it had not been.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import Batch, ProductSource, View, ahead, by_length, epoch_order, in_batches
from fusionclf.config import TrainConfig
from fusionclf.models import ProductClassifier, pretrained_encoders
from fusionclf.models.product import NetworkAlone
from fusionclf.training.averaging import WeightAverage
from fusionclf.training.checkpoints import load_weights, save_weights
from fusionclf.training.losses import WeightedCrossEntropy, inverse_frequency_weights
from fusionclf.training.mixing import Mix, draw_mix, mix, partner_targets
from fusionclf.training.optimisers import build_optimiser, build_schedule
from fusionclf.training.prediction import validate
from fusionclf.training.progress import Progress, StageState, refuse_not_finite
from fusionclf.training.saving import Saver
from fusionclf.training.stopping import StopWish, stop_signals

SAVE_EVERY_S = 120.0
LOOK_EVERY = 20  # steps between two looks at the loss, where a look waits for a GPU or for other processes


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
    save_every_s: float = SAVE_EVERY_S,
    score_first: bool = False,
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
        save_every_s: seconds between two checkpoints within an epoch.
        score_first: the weights that training begins with are a candidate for the best too, as epoch 0.

    Raises:
        TrainingError: the loss is not finite, a checkpoint cannot be written, or a signal asked to stop.
    """
    run = _Stage(
        model, source, train_rows, settings, accelerator, folder, seed, progress or Progress(), save_every_s
    )
    with stop_signals() as wish:
        if score_first and run.state.epoch == 1 and not run.state.best_epoch and not run.state.step:
            run.keep_if_best(0, run.validate(validation_rows)[0])
        while not run.finished:
            run.train_epoch(wish)
            run.end_epoch(stage, validation_rows)
            run.saver.stop_if(run.saver.any(wish), wish)
    run.release()
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
        save_every_s: float,
    ) -> None:
        # A network without a title encoder needs no titles; those for the expert take time to batch.
        self.source = source if model.text is not None else replace(source, titles=None)
        self.plain, self.rows, self.seed = model, rows, seed
        self.settings, self.accelerator, self.folder = settings, accelerator, folder
        self.progress = progress
        self.smallest = 2 * accelerator.num_processes  # batch normalisation needs two pictures a process
        self.look_every = (
            1 if accelerator.device.type == "cpu" and accelerator.num_processes == 1 else LOOK_EVERY
        )
        self.losses = {
            task: self._loss(task, head.out_features).to(accelerator.device)  # pyright: ignore[reportArgumentType]
            for task, head in model.heads.items()
        }
        batches = self._batches(1)
        self.steps, self.shown = len(batches), sum(map(len, batches))
        optimiser = build_optimiser(model, **settings.optimiser.model_dump())
        schedule = build_schedule(
            optimiser,
            steps=self.steps * settings.epochs,
            steps_per_epoch=self.steps,
            **settings.schedule.model_dump(),
        )
        torch.manual_seed(seed + accelerator.process_index)
        self.average = None if settings.ema is None else WeightAverage(model, settings.ema)
        self.saver = Saver(folder, model, optimiser, self.average, accelerator, save_every_s)
        self.state = self.saver.restore(progress.warn) or StageState()
        for _ in range((self.state.epoch - 1) * self.steps + self.state.step):
            optimiser._opt_called = True  # pyright: ignore[reportAttributeAccessIssue]  # silences the order warning
            schedule.step()
        self.schedule = schedule
        self.optimiser = accelerator.prepare(optimiser)
        self.model = self._wrapped(self.state.epoch)
        if settings.compile:
            for encoder in pretrained_encoders(model):
                encoder.network.compile()

    def _loss(self, task: str, classes: int) -> WeightedCrossEntropy:
        weights = torch.ones(classes)
        if task == "label" and self.settings.class_weights == "inverse":
            weights = inverse_frequency_weights(self.source.targets[task][self.rows], classes)
        return WeightedCrossEntropy(weights, self.settings.label_smoothing, self.settings.focal_gamma)

    def _wrapped(self, epoch: int) -> torch.nn.Module:
        """The model as Accelerate runs it, its encoders held in the first epochs where that is set.

        Which parameters learn must be known when processes are joined, so it is wrapped anew when that changes.
        """
        held = epoch <= self.settings.freeze_epochs
        for encoder in pretrained_encoders(self.plain):
            encoder.hold(held)
        self.accelerator.unwrap_model(self.plain, keep_fp32_wrapper=False)
        return self.accelerator.prepare_model(self.plain)

    def release(self) -> None:
        """Undo what wrapping did to the model."""
        self.accelerator.unwrap_model(self.plain, keep_fp32_wrapper=False)
        for encoder in pretrained_encoders(self.plain):
            encoder.hold(False)

    @property
    def finished(self) -> bool:
        """All epochs are done, or so many without a better score as are borne."""
        done, patience = self.state.epoch - 1, self.settings.patience
        stalled = patience is not None and done - self.state.best_epoch >= patience
        return done >= self.settings.epochs or stalled

    def _batches(self, epoch: int) -> list[np.ndarray]:
        """The global batches of an epoch: lines (b, 2) of its order."""
        settings = self.settings
        order = epoch_order(
            self.rows, self.source.targets["label"], self.seed, epoch,
            sampler=settings.sampler, copies_up_to=settings.copies_up_to,
        )  # fmt: skip
        lengths = self.source.lengths()
        if lengths is not None and settings.sampler != "in_order":
            order = by_length(order, lengths, settings.batch_size)
        return list(in_batches(order, settings.batch_size, self.smallest))

    def _view(self, epoch: int) -> View:
        """How pictures are shown in an epoch."""
        before = 0
        for smaller in self.settings.progressive:
            before += smaller.epochs
            if epoch <= before:
                return View((smaller.height, smaller.width), self.settings.augment)
        return View(None, self.settings.augment)

    def _pieces(self, batches: Sequence[np.ndarray], epoch: int) -> Iterator[list[Batch]]:
        """This process's share of each global batch, in the pieces that gradients are accumulated over."""
        rank, world, view = self.accelerator.process_index, self.accelerator.num_processes, self._view(epoch)
        for lines in batches:
            own = lines[rank::world]
            count = max(1, min(self.settings.accumulate, len(own) // 2))  # batch normalisation needs two
            yield [self.source.training(piece, epoch, view) for piece in np.array_split(own, count)]

    def train_epoch(self, wish: StopWish) -> None:
        """The steps of an epoch that are still to do."""
        state = self.state
        if state.epoch == self.settings.freeze_epochs + 1 and self.settings.freeze_epochs:
            self.model = self._wrapped(state.epoch)
        self.model.train()
        batches = self._batches(state.epoch)
        todo = batches[state.step :]
        self.saver.begin()
        started, already = time.perf_counter(), state.epoch_seconds
        losses: list[Tensor] = []
        for lines, pieces in zip(
            todo, ahead(self._pieces(todo, state.epoch), self.accelerator.device), strict=True
        ):
            losses.append(self._step(pieces, lines[:, 0], state.step + len(losses)))
            step = state.step + len(losses)
            if step % self.look_every and step < len(batches):
                continue
            values, stop, save = self.saver.agree(losses, bool(wish), step == len(batches))
            refuse_not_finite(values, batches[state.step : step], state, self.source, self.folder)
            state.loss_sum += sum(values)
            state.step, state.epoch_seconds = step, already + time.perf_counter() - started
            losses.clear()
            rate = step / len(batches) * self.shown / max(state.epoch_seconds, 1e-9)
            self.progress.step(state.epoch, step, len(batches), state.loss_sum / step, rate)
            if stop or save:
                self.saver.save(state)
            self.saver.stop_if(stop, wish)

    def _step(self, pieces: Sequence[Batch], rows: np.ndarray, step: int) -> Tensor:
        settings, state = self.settings, self.state
        how = draw_mix(settings.mixup, settings.cutmix, self.seed, state.epoch, step)
        wholes = {
            task: self.losses[task].total(self.source.targets[task][rows]) for task in self.plain.task_weights
        }
        total = torch.zeros((), device=self.accelerator.device)
        for number, piece in enumerate(pieces, start=1):
            last = number == len(pieces)
            with nullcontext() if last else self.accelerator.no_sync(self.model):
                loss = self._piece_loss(piece.to(self.accelerator.device), wholes, how)
                self.accelerator.backward(loss)
            total += loss.detach()
        if settings.clip_norm is not None:
            self.accelerator.clip_grad_norm_(self.model.parameters(), settings.clip_norm)
        self.optimiser.step()
        self.schedule.step()
        self.optimiser.zero_grad()
        if self.average is not None:
            self.average.update((state.epoch - 1) * self.steps + step)
        return total

    def _piece_loss(self, batch: Batch, wholes: dict[str, float], how: Mix | None) -> Tensor:
        """A piece's share of the loss of its global batch; `wholes` is the weight of that batch for each task."""
        share = 1.0
        if how is not None:
            batch, share = mix(batch, how)
        logits = self.model(batch)
        loss = torch.zeros((), device=self.accelerator.device)
        for task, weight in self.plain.task_weights.items():
            if wholes[task] <= 0:
                continue
            targets = batch.targets[task]
            own = self.losses[task](logits[task], targets)
            if share < 1:
                own = share * own + (1 - share) * self.losses[task](logits[task], partner_targets(targets))
            loss = loss + weight / wholes[task] * own
        # The processes' gradients are averaged, not added; the factor undoes that.
        return loss * self.accelerator.num_processes

    def validate(self, rows: np.ndarray) -> tuple[float, float]:
        """Top-1 in percent and loss of the weights that would be kept."""
        model = self.model if self.average is None else self.average.model
        # What is fitted after training has no say in which epoch is best.
        if self.plain.wide is not None:
            model = NetworkAlone(self.plain if self.average is None else self.average.model)  # pyright: ignore
        return validate(model, self.source, rows, self.accelerator)

    def keep_if_best(self, epoch: int, score: float) -> None:
        """Save the weights where their score is the best so far."""
        if self.settings.select_by == "last" or score > self.state.best_score:
            self.state.best_score, self.state.best_epoch = score, epoch
            if self.accelerator.is_main_process:
                kept = self.plain if self.average is None else self.average.model
                save_weights(self.folder / "best.safetensors", kept.state_dict())

    def end_epoch(self, stage: str, validation_rows: np.ndarray) -> None:
        """Validate, keep the best weights, log, and save."""
        state = self.state
        score, loss = self.validate(validation_rows)
        self.keep_if_best(state.epoch, score)
        row = {
            "stage": stage,
            "epoch": state.epoch,
            "train_loss": state.loss_sum / self.steps,
            "val_loss": loss,
            "val_top1": score,
            "learning_rate": self.optimiser.param_groups[0]["lr"],
            "seconds": state.epoch_seconds,
            "pictures_per_second": self.shown / max(state.epoch_seconds, 1e-9),
        }
        state.log.append(row)
        self.progress.epoch(row)
        state.seconds += state.epoch_seconds
        state.epoch, state.step, state.loss_sum, state.epoch_seconds = state.epoch + 1, 0, 0.0, 0.0
        self.saver.save(state)
