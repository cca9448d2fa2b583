"""What runs an encoder that is not trained: torch, or ONNX Runtime on a CPU where it is faster.

A graph is exported once and kept in the cache folder. When it is exported, its features are compared with torch's, and
the time that both take. Where they differ, or ONNX Runtime is not faster, torch goes on running the encoder.
"""

import gc
import importlib.util
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from fusionclf.batches import fingerprint
from fusionclf.batches.disk import building, is_unchanged, write_checks
from fusionclf.caches import cache_folder
from fusionclf.console import SILENT, Console
from fusionclf.errors import PictureError, SettingsError
from fusionclf.memory import give_back_memory
from fusionclf.models.encoders import ImageEncoder, PretrainedEncoder, folded_for_inference
from fusionclf.models.onnx_graph import OnnxGraph, export_graph
from fusionclf.models.stored_bert import EXPECTED
from fusionclf.models.text_encoders import TransformerEncoder

FILES = GRAPH, META = "graph.onnx", "meta.json"
PACKAGES = ("torch", "onnxruntime")  # whose versions a graph depends on
LEAST_OPENED = 256  # texts, or pictures of PIXELS, from which opening a kept graph saves time
LEAST_EXPORTED = 2000  # texts, or pictures of PIXELS, from which an export, which takes about 6 s, saves time
PIXELS = 128 * 96
MOST_DIFFERENCE = 1e-3  # of features, as a share of the largest one
OF_BERT = (*EXPECTED, "num_attention_heads", "layer_norm_eps")  # what weights do not tell
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
            with _traceable(encoder, size, key) as traced:
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

    def _may_save_time(self, work: int) -> bool:
        if self.choice == "auto":
            return self.device.type == "cpu" and self.mixed_precision == "no" and work >= LEAST_OPENED
        return self.choice == "onnx"

    def _check(self) -> None:
        if self.device.type != "cpu":
            raise _GraphError("ONNX Runtime runs encoders only on a CPU")
        if lacking := [name for name in (*PACKAGES, "onnxscript") if importlib.util.find_spec(name) is None]:
            raise _GraphError(f"{lacking[0]} is not installed (pip install {lacking[0]})")

    def _graph(self, name: str, traced: "_Traced", work: int, console: Console) -> OnnxGraph | None:
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
            raise _GraphError(found["fault"])
        if self.choice == "auto" and found["speed"] <= 1:
            return None
        return OnnxGraph(source, self.threads or torch.get_num_threads())


class _GraphError(Exception):
    """Why an encoder has no graph."""


def picture_key(weights: Mapping[str, Tensor], architecture: str, size: tuple[int, int]) -> str:
    """What the graph of a picture network is kept under.

    Args:
        weights: of the network, by name.
        architecture: what it computes with them.
        size: height and width of the pictures, in pixels.
    """
    return fingerprint(weights, architecture, size, *map(version, PACKAGES))


def _folder(key: str) -> Path:
    return cache_folder() / "onnx" / key


def _read_kept(key: str) -> tuple[Path, dict[str, Any] | None]:
    """A kept graph's file and the result of its check; None where it is missing or damaged."""
    folder = _folder(key)
    whole = is_unchanged(folder, FILES)
    return folder / GRAPH, json.loads((folder / META).read_text(encoding="utf-8")) if whole else None


@dataclass(frozen=True)
class _Traced:
    """What it takes to export an encoder's network and to check its graph.

    Attributes:
        network: gives features, (B, D).
        inputs: name → example.
        any_size: dimensions of the inputs whose size may differ.
        samples: two inputs of different sizes.
        key: hash of the weights, of what the network is, and of the versions of PACKAGES.
    """

    network: nn.Module
    inputs: Mapping[str, Tensor]
    any_size: tuple[int, ...]
    samples: tuple[tuple[Tensor, ...], ...]
    key: str


@contextmanager
def _traceable(
    encoder: PretrainedEncoder, size: tuple[int, int] | None, key: str | None
) -> Iterator[_Traced]:
    """Within it, the encoder's network is in evaluation mode and as its graph will be."""
    encoder.network.eval()
    generator = torch.Generator().manual_seed(0)
    if isinstance(encoder, ImageEncoder):
        assert size is not None
        key = key or picture_key(
            encoder.network.state_dict(), encoder.architecture or str(encoder.network), size
        )
        with folded_for_inference(encoder, size):
            network = encoder.network
            samples = tuple((torch.randn(count, 3, *size, generator=generator),) for count in (8, 3))
            yield _Traced(network, {"pictures": samples[1][0]}, (0,), samples, key)
        return
    assert isinstance(encoder, TransformerEncoder)
    config: Any = encoder.network.config
    words = getattr(config, "vocab_size", 100)
    samples = tuple(_tokens(shape, words, generator) for shape in ((16, 12), (3, 40)))
    inputs = {"input_ids": samples[1][0], "attention_mask": samples[1][1]}
    key = fingerprint(encoder.network.state_dict(), _architecture(encoder.network), *map(version, PACKAGES))
    yield _Traced(_Pooled(encoder), inputs, (0, 1), samples, key)


def _architecture(network: Any) -> str:
    """What a text network computes; the same for a BERT of transformers and one that was stored."""
    config = network.config
    if getattr(config, "model_type", "") != "bert":
        return f"{network} {config}"
    return " ".join(str(getattr(config, name, EXPECTED.get(name))) for name in OF_BERT)


class _Pooled(nn.Module):
    """A text encoder's network with its pooling, from tensors that a graph has names for."""

    def __init__(self, encoder: TransformerEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        return self.encoder.pooled(input_ids, attention_mask)


def _tokens(shape: tuple[int, int], vocabulary: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Tokens (B, T) and their mask, of texts of different lengths."""
    lengths = shape[1] - torch.arange(shape[0]) % shape[1]
    mask = torch.arange(shape[1]) < lengths[:, None]
    return torch.randint(vocabulary, shape, generator=generator) * mask, mask.long()


def _exported(traced: _Traced) -> tuple[bytes, dict[str, Any]]:
    """A graph and the result of its check: `fault`, "" for none; `difference`; `speed` as a multiple of torch's."""
    try:
        content = export_graph(traced.network, traced.inputs, traced.any_size)
        graph = OnnxGraph(content, torch.get_num_threads())
        with torch.inference_mode(), torch.autocast("cpu", enabled=False):
            difference = max(_difference(traced.network(*each), graph(*each)) for each in traced.samples)
            speed = _speed(traced.network, graph, traced.samples[0])
    except Exception as error:  # each layer of the exporters and of the runtime has exceptions of its own
        reason = " ".join(str(error).split())[:160]
        return b"", {"fault": f"no ONNX graph of it can be made ({type(error).__name__}: {reason})"}
    fault = ""
    if not difference <= MOST_DIFFERENCE:  # NaN too
        fault = f"its ONNX graph gives other features (difference {difference:.1g} of the largest)"
    return content, {"fault": fault, "difference": difference, "speed": speed}


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
