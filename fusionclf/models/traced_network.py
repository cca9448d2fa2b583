"""An encoder's network prepared for export to ONNX, and the cache key of its graph."""

import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fusionclf.batches import fingerprint
from fusionclf.models.architectures import picture_architecture, text_architecture
from fusionclf.models.encoders import ImageEncoder, PretrainedEncoder, folded_for_inference
from fusionclf.models.text_encoders import TransformerEncoder

PACKAGES = ("torch", "onnxruntime", "onnx", "onnxscript")  # whose versions a graph depends on


def picture_key(weights: Mapping[str, Tensor], architecture: str, size: tuple[int, int]) -> str:
    """The cache key of a picture network's graph.

    Args:
        weights: of the network, by name.
        architecture: what it computes with them.
        size: height and width of the pictures, in pixels.
    """
    return fingerprint(weights, architecture, size, *_surroundings())


def _surroundings() -> list[str]:
    """Versions of PACKAGES and the CPU's model: a graph and its speed also depend on them."""
    return [*map(_release, PACKAGES), _processor()]


def _release(package: str) -> str:
    """Version of a package; "none" where it is not installed, or under another name (onnxruntime-gpu)."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


def _processor() -> str:
    """Model of the CPU, as far as the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        lines = []
    return next((line for line in lines if line.startswith("model name")), platform.processor())


@dataclass(frozen=True)
class TracedNetwork:
    """What it takes to export an encoder's network and to check its graph.

    Attributes:
        network: gives features, (B, D).
        inputs: name → example.
        any_size: dimensions of the inputs whose size may differ.
        samples: two inputs of different sizes.
        key: hash of the weights, of what the network is, and of `_surroundings`.
    """

    network: nn.Module
    inputs: Mapping[str, Tensor]
    any_size: tuple[int, ...]
    samples: tuple[tuple[Tensor, ...], ...]
    key: str


@contextmanager
def traceable(
    encoder: PretrainedEncoder, size: tuple[int, int] | None, key: str | None
) -> Iterator[TracedNetwork]:
    """Within it, the encoder's network is in evaluation mode and as its graph will be."""
    encoder.network.eval()
    generator = torch.Generator().manual_seed(0)
    if isinstance(encoder, ImageEncoder):
        assert size is not None
        key = key or picture_key(encoder.network.state_dict(), picture_architecture(encoder), size)
        with folded_for_inference(encoder, size):
            network = encoder.network
            samples = tuple((torch.randn(count, 3, *size, generator=generator),) for count in (8, 3))
            yield TracedNetwork(network, {"pictures": samples[1][0]}, (0,), samples, key)
        return
    assert isinstance(encoder, TransformerEncoder)
    config: Any = encoder.network.config
    words = getattr(config, "vocab_size", 100)
    samples = tuple(_tokens(shape, words, generator) for shape in ((16, 12), (3, 40)))
    inputs = {"input_ids": samples[1][0], "attention_mask": samples[1][1]}
    key = fingerprint(encoder.network.state_dict(), text_architecture(encoder.network), *_surroundings())
    yield TracedNetwork(_Pooled(encoder), inputs, (0, 1), samples, key)


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
