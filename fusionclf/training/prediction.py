"""Logits and features of products: batch by batch in constant memory, or all at once; over processes too."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from fusionclf.batches import Batch, PictureTransform, ProductSource, in_weighted_batches, prefetch
from fusionclf.batches.disk import large_zeros
from fusionclf.batches.threads import map_in_threads
from fusionclf.memory import release_pages
from fusionclf.models import ProductClassifier
from fusionclf.models.encoders import ImageEncoder, folded_for_inference
from fusionclf.training.accelerator import OneProcess

EVALUATION_BATCH = 128
RELEASED_TOGETHER = 2**14  # products after which pages of mapped files leave this process's memory
# Of a batch on a CPU, whose cache then holds what a convolution hands to the next one.
TORCH_PIXELS = 16 * 224 * 224  # on all cores
GRAPH_PIXELS = 2**17  # of an ONNX graph of pictures alone on one core


def iterate_logits(
    model: torch.nn.Module, source: ProductSource, rows: np.ndarray, accelerator: Accelerator | OneProcess
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """Logits of this process's share of `rows`, in constant memory; of all rows if they are fewer than processes.

    Products whose titles are about as long are read together, which saves padding.

    Yields:
        Places in `rows` (b,), and the task `label`'s logits (b, K), float32 on the model's device.
    """
    return _iterate(lambda batch: model(batch)["label"], model, source, rows, accelerator)


def predict_features(
    model: ProductClassifier,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator | OneProcess,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """(n, D) float32 features before the heads, on the CPU, every row exactly once, on every process."""
    batches = _iterate(model.features, model, source, rows, accelerator)
    return collect(batches, len(rows), accelerator, progress)


def predict_pictures(
    model: ProductClassifier,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator | OneProcess,
) -> Tensor:
    """As `predict_features`, but (n, Di) features of the picture encoder alone."""
    return collect(_iterate(model.image_features, model, source, rows, accelerator), len(rows), accelerator)


def iterate_features(
    encoder: ImageEncoder, source: ProductSource, rows: np.ndarray, accelerator: Accelerator | OneProcess
) -> Iterator[tuple[np.ndarray, Tensor]]:
    """As `iterate_logits`, but the output of a picture encoder's network, (b, D).

    A graph of one thread runs on each core: two batches side by side take less time than one on two cores.
    """
    in_threads = encoder.graph is not None
    return _iterate(
        lambda batch: encoder.network_features(batch.pictures), encoder, source, rows, accelerator, in_threads
    )


def _iterate(
    run: Callable[[Any], Tensor],
    model: torch.nn.Module,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator | OneProcess,
    in_threads: bool = False,
) -> Iterator[tuple[np.ndarray, Tensor]]:
    model.eval()
    device = accelerator.device
    rank, world = _share(len(rows), accelerator)
    own = np.arange(len(rows))[rank::world]
    lengths = source.lengths()
    if lengths is not None:
        own = own[np.argsort(lengths[rows[own]], kind="stable")]
    counts = source.picture_counts(rows[own])  # with one picture a product, batches of one size
    shares = in_weighted_batches(own, counts, batch_size(source, device, in_threads))

    def prepared(places: np.ndarray) -> tuple[np.ndarray, Batch]:
        return places, source.evaluation(rows[places])

    def computed(each: tuple[np.ndarray, Batch]) -> tuple[np.ndarray, Tensor]:
        with torch.inference_mode(), accelerator.autocast():
            return each[0], run(each[1].to(device)).float()

    with _prepared(model, source):
        if in_threads:
            yield from map_in_threads(lambda places: computed(prepared(places)), shares)
        else:
            yield from map(computed, prefetch(map(prepared, shares), device))


def _share(count: int, accelerator: Accelerator | OneProcess) -> tuple[int, int]:
    """This process's number, and the number of processes that share `count` rows.

    If there are fewer rows than processes, each process computes all of them, and nothing is gathered.
    """
    if count < accelerator.num_processes:
        return 0, 1
    return accelerator.process_index, accelerator.num_processes


def _prepared(model: torch.nn.Module, source: ProductSource) -> AbstractContextManager[None]:
    """Within it, batch normalisations are folded where the model reads pictures."""
    pictures = _read_pictures(source)
    return nullcontext() if pictures is None else folded_for_inference(model, pictures.size)


def batch_size(source: ProductSource, device: torch.device, in_threads: bool = False) -> int:
    """How many products, or pictures where some have several, are in a batch; fewer where each core has its own."""
    pictures = _read_pictures(source)
    if device.type != "cpu" or pictures is None:
        return EVALUATION_BATCH
    return pictures_together(pictures.size, GRAPH_PIXELS if in_threads else TORCH_PIXELS)


def pictures_together(size: tuple[int, int], pixels: int = TORCH_PIXELS) -> int:
    """How many pictures of a height and width are in a batch of about so many pixels on a CPU."""
    return min(max(pixels // math.prod(size), 1), EVALUATION_BATCH)


def _read_pictures(source: ProductSource) -> PictureTransform | None:
    """The pictures, where an encoder reads them and not features that were computed before."""
    return source.pictures if source.features is None else None


def predict_logits(
    model: torch.nn.Module,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator | OneProcess,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """(n, K) float32 logits of the task `label`, on the CPU, every row exactly once, on every process."""
    return collect(iterate_logits(model, source, rows, accelerator), len(rows), accelerator, progress)


def predict_tasks(
    model: torch.nn.Module,
    source: ProductSource,
    rows: np.ndarray,
    accelerator: Accelerator | OneProcess,
    widths: Mapping[str, int],
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Tensor]:
    """As `predict_logits` for several tasks: task → (n, K), from one pass over the products.

    Args:
        widths: task → K, its number of classes.
    """
    if not len(rows):
        return {task: torch.zeros(0, width) for task, width in widths.items()}

    def run(batch: Any) -> Tensor:
        logits = model(batch)
        return torch.cat([logits[task].float() for task in widths], dim=1)

    batches = _iterate(run, model, source, rows, accelerator)
    whole = collect(batches, len(rows), accelerator, progress)
    return dict(zip(widths, whole.split(list(widths.values()), dim=1), strict=True))


def collect(
    parts: Iterator[tuple[np.ndarray, Tensor]],
    count: int,
    accelerator: Accelerator | OneProcess,
    progress: Callable[[int, int], None] | None = None,
) -> Tensor:
    """Put every process's (places, values) into one (count, K) tensor on the CPU, on every process."""
    _, world = _share(count, accelerator)
    local: Tensor | None = None
    done = released = 0
    for places, values in parts:
        if local is None:
            # One row more than needed where this process's share is the shorter one: gathering wants equal shapes.
            local = _zeros_like(values, -(-count // world))
        local[torch.from_numpy(places // world)] = values
        done += len(places)
        if done - released >= RELEASED_TOGETHER:
            release_pages()  # of features that were read, and of results
            released = done
        if progress is not None:
            progress(min(done * world, count), count)
    if local is None:
        local = torch.zeros(0, 1)
    if isinstance(accelerator, OneProcess) or world == 1:
        return local.cpu()
    gathered: Any = accelerator.gather(local)
    dealt = gathered.view(world, len(local), -1).transpose(
        0, 1
    )  # place p is row p // world of process p % world
    return dealt.reshape(world * len(local), -1)[:count].cpu()


def _zeros_like(values: Tensor, rows: int) -> Tensor:
    """Zeros (rows, D) for values (b, D), on their device."""
    shape = (rows, values.shape[1])
    if values.device.type != "cpu" or values.dtype != torch.float32:
        return values.new_zeros(shape)
    return torch.from_numpy(large_zeros(shape))


def validate(
    model: torch.nn.Module, source: ProductSource, rows: np.ndarray, accelerator: Accelerator | OneProcess
) -> tuple[float, float]:
    """Top-1 in percent and mean cross-entropy of the label over `rows`; NaN without any.

    Of several labels per product, in place of top-1 the average precision of all pairs of a product and a label.
    """
    if not len(rows):
        return math.nan, math.nan
    logits = predict_logits(model, source, rows, accelerator)
    targets = torch.from_numpy(source.targets["label"][rows])
    if targets.ndim == 2:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets.float())
        return 100 * micro_average_precision(logits, targets), loss.item()
    score = (logits.argmax(dim=1) == targets).double().mean().item() * 100
    return score, torch.nn.functional.cross_entropy(logits, targets).item()


def micro_average_precision(logits: Tensor, targets: Tensor) -> float:
    """The average precision of all pairs of a product and a label, in [0, 1]; 0 without a pair that is right.

    Args:
        logits: (n, K).
        targets: (n, K) whether each product has each label.

    >>> micro_average_precision(torch.tensor([[2.0, 1.0, 0.0]]), torch.tensor([[True, False, True]]))
    0.8333333333333333
    """
    ranked = targets.flatten()[logits.flatten().argsort(descending=True, stable=True)].double()
    precision = ranked.cumsum(0) / torch.arange(1, len(ranked) + 1)
    return ((precision * ranked).sum() / ranked.sum().clamp_min(1)).item()
