"""What runs an encoder that is not trained: torch, or ONNX Runtime on a CPU where it is faster.

A graph is exported once and kept in the cache folder. When it is exported, its features are compared with torch's, and
the time that both take. Where they differ, or ONNX Runtime is not faster, torch goes on running the encoder.
"""

import gc
import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from fusionclf.batches.disk import building, is_unchanged, write_checks
from fusionclf.caches import cache_folder
from fusionclf.console import SILENT, Console
from fusionclf.errors import PictureError, SettingsError
from fusionclf.memory import give_back_memory
from fusionclf.models.encoders import ImageEncoder, PretrainedEncoder
from fusionclf.models.onnx_graph import OnnxGraph, export_graph
from fusionclf.models.traced_network import PACKAGES, TracedNetwork, traceable

FILES = GRAPH, META = "graph.onnx", "meta.json"
PASSING = (MemoryError, OSError, ImportError)  # faults of a moment or of an installation, which are not kept
LEAST_OPENED = 256  # texts, or pictures of PIXELS, from which opening a kept graph saves time
LEAST_EXPORTED = 2000  # texts, or pictures of PIXELS, from which an export, which takes about 6 s, saves time
PIXELS = 128 * 96
MOST_DIFFERENCE = 1e-3  # of features, as a share of the largest one
ROUNDS = 5  # whose shortest time counts
Choice = Literal["auto", "torch", "onnx"]


@dataclass(frozen=True)
class Engine:
    """What runs the encoders of a model.

    Attributes:
        choice: `auto`: ONNX Runtime where it is faster; `torch`; or `onnx`, whatever it takes.
        device: where the model is.
        mixed_precision: "bf16" or "no"; what is fast at bfloat16 runs torch.
        threads: that share one batch; None: as many as torch has.
    """

    choice: Choice
    device: torch.device
    mixed_precision: str = "no"
    threads: int | None = None

    def start(
        self,
        encoder: PretrainedEncoder,
        count: int,
        size: tuple[int, int] | None = None,
        console: Console = SILENT,
        key: str | None = None,
    ) -> None:
        """Have ONNX Runtime run an encoder from now on, where that saves time.

        Args:
            encoder: whose weights do not change any more.
            count: pictures or texts to come.
            size: height and width of the pictures, in pixels.
            console: shows that a graph is exported, and why torch runs the encoder.
            key: that the graph is kept under; None: as of the encoder's network.

        Raises:
            SettingsError: `choice` is "onnx", and ONNX Runtime cannot run the encoder.
        """
        work = count if size is None else count * size[0] * size[1] // PIXELS
        if encoder.graph is not None or not self._may_save_time(work):
            return
        name = "picture encoder" if isinstance(encoder, ImageEncoder) else "text encoder"
        try:
            self._check()
            with traceable(encoder, size, key) as traced:
                encoder.graph = self._graph(name, traced, work, console)
        except _GraphError as error:
            if self.choice == "onnx":
                raise SettingsError(f"engine=onnx: {name}: {error}; set engine=auto") from error
            console.warn(f"{name}: {error}; torch runs it")

    def open_kept(self, key: str) -> OnnxGraph | None:
        """The kept graph of a picture network that is not built; None without one, or where torch is to run it.

        Args:
            key: as of `picture_key`.
        """
        if not self._may_save_time(LEAST_OPENED):
            return None
        try:
            self._check()
            return self._open(*_read_kept(key))
        except _GraphError:
            return None  # `start` says why

    @property
    def may_use_graphs(self) -> bool:
        """Whether ONNX Runtime is to run encoders at all."""
        if self.choice == "auto":
            return self.device.type == "cpu" and self.mixed_precision == "no"
        return self.choice == "onnx"

    def _may_save_time(self, work: int) -> bool:
        return self.may_use_graphs and (self.choice == "onnx" or work >= LEAST_OPENED)

    def _check(self) -> None:
        if self.device.type != "cpu":
            raise _GraphError("ONNX Runtime runs encoders only on a CPU")
        if lacking := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
            raise _GraphError(f"{lacking[0]} is not installed (pip install {lacking[0]})")

    def _graph(self, name: str, traced: TracedNetwork, work: int, console: Console) -> OnnxGraph | None:
        """The kept graph, or a new one; None where it would save no time."""
        source, found = _read_kept(traced.key)
        if found is None:
            if self.choice == "auto" and work < LEAST_EXPORTED:
                return None
            folder = _folder(traced.key)
            damaged = "; the kept one is damaged" * folder.exists()
            console.info(f"{name}: exported to ONNX, once for all runs with this encoder{damaged}")
            content, found = _exported(traced)
            gc.collect()  # the exporters leave hundreds of MB in cycles
            give_back_memory()
            source = folder / GRAPH if _keep(folder, content, found, console) else content
        return self._open(source, found)

    def _open(self, source: bytes | Path, found: Mapping[str, Any] | None) -> OnnxGraph | None:
        """A graph to run, given the result of its check; None where there is none, or it would save no time."""
        if found is None:
            return None
        if found["fault"]:
            again = f"; to try again, delete {source.parent}" if isinstance(source, Path) else ""
            raise _GraphError(f"{found['fault']}{again}")
        if self.choice == "auto" and found["speed"] <= 1:
            return None
        return OnnxGraph(source, self.threads or torch.get_num_threads())


class _GraphError(Exception):
    """Why an encoder has no graph."""


def _folder(key: str) -> Path:
    return cache_folder() / "onnx" / key


def _read_kept(key: str) -> tuple[Path, dict[str, Any] | None]:
    """A kept graph's file and the result of its check; None where it is missing or damaged."""
    folder = _folder(key)
    whole = is_unchanged(folder, FILES)
    return folder / GRAPH, json.loads((folder / META).read_text(encoding="utf-8")) if whole else None


def _exported(traced: TracedNetwork) -> tuple[bytes, dict[str, Any]]:
    """A graph and the result of its check: `fault`, "" for none; `difference`; `speed` as a multiple of torch's.

    Raises:
        _GraphError: for a reason that may be gone the next time.
    """
    try:
        content = export_graph(traced.network, traced.inputs, traced.any_size)
        graph = OnnxGraph(content, torch.get_num_threads())
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            difference = max(_difference(traced.network(*each), graph(*each)) for each in traced.samples)
            speed = _speed(traced.network, graph, traced.samples[0])
    except Exception as error:  # each layer of the exporters and of the runtime has exceptions of its own
        reason = " ".join(str(error).split())[:160]
        fault = f"no ONNX graph of it can be made ({type(error).__name__}: {reason})"
        if any(isinstance(cause, PASSING) for cause in _causes(error)):
            raise _GraphError(fault) from error
        return b"", {"fault": fault}
    fault = ""
    if not difference <= MOST_DIFFERENCE:  # NaN too
        fault = f"its ONNX graph gives other features (difference {difference:.1g} of the largest)"
    return content, {"fault": fault, "difference": difference, "speed": speed}


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """An exception, and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__


def _difference(expected: Tensor, found: Tensor) -> float:
    """The largest difference, as a share of the largest value."""
    return float((expected - found).abs().max() / expected.abs().max().clamp_min(1e-9))


def _speed(network: Callable[..., Tensor], graph: OnnxGraph, sample: tuple[Tensor, ...]) -> float:
    """How many times as fast as a network its graph is."""
    sample = tuple(
        each.contiguous(memory_format=torch.channels_last) if each.ndim == 4 else each for each in sample
    )
    best = {"network": float("inf"), "graph": float("inf")}
    for _ in range(ROUNDS):
        for name, run in (("network", network), ("graph", graph)):
            started = time.perf_counter()
            run(*sample)
            best[name] = min(best[name], time.perf_counter() - started)
    return best["network"] / best["graph"]


def _keep(folder: Path, content: bytes, found: Mapping[str, Any], console: Console) -> bool:
    """Keep a graph in the cache folder; False where that cannot be written."""
    try:
        with building(folder, "the cache of graphs", lambda made: is_unchanged(made, FILES)) as aside:
            (aside / GRAPH).write_bytes(content)
            (aside / META).write_text(json.dumps(found), encoding="utf-8")
            write_checks(aside, FILES)
    except PictureError as error:
        console.warn(str(error))
        return False
    return True
