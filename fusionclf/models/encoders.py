"""Encoders around a pretrained network, and the picture encoder: (B, 3, H, W) → (B, dim)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.layers.depthwise_conv import speed_up_depthwise
from fusionclf.models.layers.fold_batchnorm import fold_batch_norms
from fusionclf.models.packing import round_to_half


class PretrainedEncoder(nn.Module):
    """An encoder around a network that may be frozen: for good, up to a layer, or for some epochs.

    What is frozen keeps its weights and its batch statistics.

    Args:
        network: the network.
        layers: its parts in the order in which data passes, for freezing and layer-wise learning rates.
        frozen: keep the whole network as it is. Its weight matrices are rounded to half precision, in which a run
            stores them in half the bytes without a difference between training and prediction.
        frozen_layers: how many of `layers` to keep as they are.

    Attributes:
        graph: the same network in ONNX Runtime, which takes its place where no gradient is needed; None: torch runs it.
    """

    def __init__(
        self,
        network: nn.Module,
        layers: Sequence[nn.Module] = (),
        frozen: bool = False,
        frozen_layers: int = 0,
    ) -> None:
        super().__init__()
        if frozen:
            round_to_half(network)
        self.network = network
        self.frozen = frozen
        self.graph: Callable[..., Tensor] | None = None
        self.layers = tuple(layers)  # a tuple, so that they are not registered twice
        self._kept = [network] if frozen else list(layers[:frozen_layers])
        for module in self._kept:
            module.requires_grad_(False)
        self._trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
        self._frozen_now = False

    def freeze(self, frozen: bool) -> None:
        """Freeze the whole network for now, or thaw what is not frozen for good."""
        self._frozen_now = frozen
        for parameter in self._trained:
            parameter.requires_grad_(not frozen)
        self.train(self.training)

    @property
    def graph_now(self) -> Callable[..., Tensor] | None:
        """The graph, where no gradient is needed."""
        return None if torch.is_grad_enabled() else self.graph

    def train(self, mode: bool = True) -> "PretrainedEncoder":
        """What is frozen stays in evaluation mode."""
        super().train(mode)
        for module in [self.network] if self._frozen_now else self._kept:
            module.eval()
        return self


def pretrained_encoders(model: nn.Module) -> list[PretrainedEncoder]:
    """All of a model's encoders that hold a network."""
    return [module for module in model.modules() if isinstance(module, PretrainedEncoder)]


class ImageEncoder(PretrainedEncoder):
    """A convolutional network without its last layer: (B, 3, H, W) → (B, dim).

    Args:
        network: the network; gives (B, dim) features.
        dim: width of the features.
        layers, frozen, frozen_layers: see PretrainedEncoder.
        normalise: give features mean 0 and variance 1 over their own values, as layer normalisation without weights.

    Attributes:
        is_folded: whether batch normalisations have become part of convolutions, for inference.
        architecture: what the network computes with its weights, in words; "": its modules tell.
    """

    is_folded: bool = False
    architecture: str = ""

    def __init__(
        self,
        network: nn.Module,
        dim: int,
        layers: Sequence[nn.Module] = (),
        frozen: bool = False,
        frozen_layers: int = 0,
        normalise: bool = False,
    ) -> None:
        speed_up_depthwise(network)
        super().__init__(network, layers, frozen, frozen_layers)
        self.dim = dim
        self.normalise = normalise

    def forward(self, pictures: Tensor, pooling: Tensor | None = None) -> Tensor:
        """(B, dim) features of B products.

        Args:
            pictures: (P, 3, H, W), or what the network gave for each product before, (B, dim).
            pooling: (B, P) share of each picture in its product's features; None: one picture a product.
        """
        features = pictures if pictures.ndim == 2 else self.network_features(pictures)
        if pooling is not None:
            features = _pooled(features, pooling)
        return F.layer_norm(features, (self.dim,)) if self.normalise else features

    def network_features(self, pictures: Tensor) -> Tensor:
        """(P, D) what the network gives for pictures (P, 3, H, W)."""
        return (self.graph_now or self.network)(pictures)


def _pooled(features: Tensor, pooling: Tensor) -> Tensor:
    """(B, dim) weighted sums of (P, dim) features, in float32 whatever the precision of the network."""
    if not torch.is_autocast_enabled(features.device.type):
        return pooling @ features.float()
    with torch.autocast(features.device.type, enabled=False):
        return pooling @ features.float()


@contextmanager
def folded_for_inference(model: nn.Module, size: tuple[int, int]) -> Iterator[None]:
    """Within it, a model's picture encoders have their batch normalisations folded; then they are as before.

    Args:
        model: in evaluation mode.
        size: height and width of its pictures, in pixels.
    """
    before = [(module, module.network) for module in model.modules() if isinstance(module, ImageEncoder)]
    try:
        for encoder, _ in before:
            if encoder.graph is None:
                fold_encoder(encoder, size)
        yield
    finally:
        for encoder, network in before:
            encoder.is_folded = encoder.is_folded and encoder.network is network
            encoder.network = network


def fold_encoder(encoder: ImageEncoder, size: tuple[int, int]) -> None:
    """Fold a picture encoder's batch normalisations for good; one that is folded stays as it is."""
    if encoder.is_folded:
        return
    device = next(encoder.parameters()).device
    pictures = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.autocast(device.type, enabled=False):
        encoder.network = fold_batch_norms(encoder.network, pictures)
    encoder.is_folded = True
