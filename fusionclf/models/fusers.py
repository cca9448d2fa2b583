"""Fusers: a picture's features and a title's features → one vector; and what replaces features that are missing."""

from collections.abc import Callable
from typing import ClassVar, TypeVar

import torch
from torch import Tensor, nn

from fusionclf.errors import SettingsError, did_you_mean


class Fuser(nn.Module):
    """Features of picture and title → one vector: (B, Di) and (B, Dt) → (B, dim).

    A fuser is a subclass that is registered by `register_fuser`. It is built with image_dim, text_dim, hidden, dropout
    and image_gain, and with regions where it needs them.

    Attributes:
        dim: width of the output.
        needs_regions: whether it reads features of a grid of regions of the picture (`model.image.regions` ≥ 2).
    """

    dim: int
    needs_regions: ClassVar[bool] = False

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        raise NotImplementedError


FuserClass = TypeVar("FuserClass", bound=type[Fuser])
_FUSERS: dict[str, type[Fuser]] = {}


def register_fuser(name: str) -> Callable[[FuserClass], FuserClass]:
    """Register the decorated class as `model.fuser=NAME`.

    Raises:
        ValueError: another fuser has this name.
    """

    def add(fuser: FuserClass) -> FuserClass:
        if _FUSERS.setdefault(name, fuser) is not fuser:
            raise ValueError(f"a fuser {name!r} is registered already")
        return fuser

    return add


def fuser_names() -> list[str]:
    """All registered names, sorted."""
    return sorted(_FUSERS)


def find_fuser(name: str) -> type[Fuser]:
    """Raises SettingsError, with the near match, where there is no such fuser."""
    if name not in _FUSERS:
        raise SettingsError(f"unknown fuser {name!r}: {did_you_mean(name, fuser_names())}")
    return _FUSERS[name]


@register_fuser("concat")
class ConcatFuser(Fuser):
    """The normalised features of both modalities, and a hidden layer of both: (B, Di + Dt + hidden).

    A linear head on it is the sum of a picture classifier, a title classifier, and a classifier of both together. A
    picture has many dense features, which the network would memorise first; `image_gain` makes them smaller at first.
    """

    def __init__(
        self, image_dim: int, text_dim: int, hidden: int = 256, dropout: float = 0.2, image_gain: float = 0.2
    ) -> None:
        super().__init__()
        self.image_gain = image_gain
        self.image_norm = nn.LayerNorm(image_dim)
        self.text_norm = nn.LayerNorm(text_dim)
        self.joint = nn.Sequential(nn.Linear(image_dim + text_dim, hidden), nn.GELU(), nn.Dropout(dropout))
        self.dim = image_dim + text_dim + hidden

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        both = torch.cat(
            [self.image_gain * self.image_norm(image), self.text_norm(text)], dim=-1
        )  # (B, Di+Dt)
        return torch.cat([both, self.joint(both)], dim=-1)  # (B, Di+Dt+hidden)


@register_fuser("gated")
class GatedFuser(Fuser):
    """Gated multimodal unit: a learned gate weighs the two sides, value by value.

    Source: Arevalo et al., Gated Multimodal Units for Information Fusion (2017), equation 1.
    """

    def __init__(
        self, image_dim: int, text_dim: int, hidden: int = 512, dropout: float = 0.2, image_gain: float = 1.0
    ) -> None:
        super().__init__()
        self.image_gain = image_gain
        self.image = nn.Sequential(nn.LayerNorm(image_dim), nn.Linear(image_dim, hidden), nn.Tanh())
        self.text = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, hidden), nn.Tanh())
        self.gate = nn.Sequential(
            nn.LayerNorm(image_dim + text_dim), nn.Linear(image_dim + text_dim, hidden), nn.Sigmoid()
        )
        self.dropout = nn.Dropout(dropout)
        self.dim = hidden

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        gate = self.gate(torch.cat([image, text], dim=-1))  # (B, hidden)
        return self.dropout(
            gate * self.image_gain * self.image(image) + (1 - gate) * self.text(text)
        )  # (B, hidden)


@register_fuser("attention")
class CrossAttentionFuser(Fuser):
    """Multi-head attention from the title to the regions of the picture.

    Output: the title's features, the attended picture features, and a hidden layer of both, (B, 3 · hidden).

    Args:
        image_dim: Di = regions² · channels, regions in the order of a map flattened behind its channels.
        text_dim: Dt.
        hidden: width of query, keys and values.
        dropout: on the hidden layer.
        image_gain: factor of the picture's normalised features.
        regions: side of the grid of regions; 1 leaves nothing to choose from.
        attention_heads: heads of the attention; they divide `hidden`.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2; Lu et al., ViLBERT (2019), co-attention.
    """

    needs_regions = True

    def __init__(
        self,
        image_dim: int,
        text_dim: int,
        hidden: int = 512,
        dropout: float = 0.2,
        image_gain: float = 1.0,
        regions: int = 2,
        attention_heads: int = 8,
    ) -> None:
        super().__init__()
        self.image_gain = image_gain
        self.channels = image_dim // regions**2
        self.image = nn.Sequential(nn.LayerNorm(self.channels), nn.Linear(self.channels, hidden))
        self.text = nn.Sequential(nn.LayerNorm(text_dim), nn.Linear(text_dim, hidden))
        self.place = nn.Parameter(torch.zeros(regions**2, hidden))
        self.attention = nn.MultiheadAttention(hidden, attention_heads, batch_first=True)
        self.joint = nn.Sequential(nn.Linear(2 * hidden, hidden), nn.GELU(), nn.Dropout(dropout))
        self.dim = 3 * hidden

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        regions = image.unflatten(1, (self.channels, -1)).transpose(1, 2)  # (B, R², C)
        keys = self.image_gain * self.image(regions) + self.place  # (B, R², hidden)
        title = self.text(text)  # (B, hidden)
        found = self.attention(title[:, None], keys, keys, need_weights=False)[0][:, 0]  # (B, hidden)
        both = torch.cat([title, found], dim=-1)
        return torch.cat([both, self.joint(both)], dim=-1)  # (B, 3 · hidden)


class MissingModality(nn.Module):
    """Learned features for a picture or a title that is missing; in training also for some products that have both.

    Args:
        image_dim, text_dim: widths of the features.
        share: of the products of a training batch, whose picture or title is replaced, half of them each.

    Source: modality dropout, Neverova et al., ModDrop (2016).
    """

    def __init__(self, image_dim: int, text_dim: int, share: float = 0.0) -> None:
        super().__init__()
        self.share = share
        # Without dropout they would get no gradient.
        self.image = nn.Parameter(torch.zeros(image_dim), requires_grad=share > 0)
        self.text = nn.Parameter(torch.zeros(text_dim), requires_grad=share > 0)

    def forward(
        self, image: Tensor, text: Tensor, has_picture: Tensor | None, has_title: Tensor | None
    ) -> list[Tensor]:
        if self.training and self.share > 0:
            drawn = torch.rand(len(image), device=image.device)
            with_picture, with_title = drawn >= self.share / 2, drawn < 1 - self.share / 2
            has_picture = with_picture if has_picture is None else has_picture & with_picture
            has_title = with_title if has_title is None else has_title & with_title
        if has_picture is not None:
            image = torch.where(has_picture[:, None], image, self.image.to(image.dtype))
        if has_title is not None:
            text = torch.where(has_title[:, None], text, self.text.to(text.dtype))
        return [image, text]
