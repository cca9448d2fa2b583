"""Fusers: a picture's features and a title's features → one vector; and what stands in for one that is missing."""

import torch
from torch import Tensor, nn


class ConcatFuser(nn.Module):
    """Normalises each side, and lays them side by side behind a hidden layer that sees both.

    A picture's features are many and dense; left alone they drown the title's, are learned by heart first, and the
    network answers wrongly where pictures change from year to year. `image_gain` starts them smaller.

    Output: the picture's part, the title's part and their joint part, (B, Di + Dt + hidden). A linear head on
    it is the sum of a picture classifier, a title classifier, and what only the two together tell.
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


class GatedFuser(nn.Module):
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


class CrossAttentionFuser(nn.Module):
    """The title asks, the regions of the picture answer: multi-head attention from one to the others.

    Output: the title's part, what it found in the picture, and their joint part, (B, 3 · hidden).

    Args:
        image_dim: Di = regions² · channels, regions in the order of a map flattened behind its channels.
        text_dim: Dt.
        hidden: width of query, keys and values.
        dropout: on the joint part.
        image_gain: factor of the picture's normalised features.
        regions: side of the grid of regions; 1 leaves nothing to choose from.
        attention_heads: heads of the attention; they divide `hidden`.

    Source: Vaswani et al., Attention Is All You Need (2017), section 3.2; Lu et al., ViLBERT (2019), co-attention.
    """

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
    """Learned features in the place of a picture or a title that is not there; in training, now and then for all.

    Args:
        image_dim, text_dim: widths of the features.
        share: of the products of a training batch of which one side is hidden, picture or title in equal parts.

    Source: modality dropout, Neverova et al., ModDrop (2016).
    """

    def __init__(self, image_dim: int, text_dim: int, share: float = 0.0) -> None:
        super().__init__()
        self.share = share
        # Without dropout nothing would teach them.
        self.image = nn.Parameter(torch.zeros(image_dim), requires_grad=share > 0)
        self.text = nn.Parameter(torch.zeros(text_dim), requires_grad=share > 0)

    def forward(
        self, image: Tensor, text: Tensor, has_picture: Tensor | None, has_title: Tensor | None
    ) -> list[Tensor]:
        if self.training and self.share > 0:
            drawn = torch.rand(len(image), device=image.device)
            shown, told = drawn >= self.share / 2, drawn < 1 - self.share / 2
            has_picture = shown if has_picture is None else has_picture & shown
            has_title = told if has_title is None else has_title & told
        if has_picture is not None:
            image = torch.where(has_picture[:, None], image, self.image.to(image.dtype))
        if has_title is not None:
            text = torch.where(has_title[:, None], text, self.text.to(text.dtype))
        return [image, text]


FUSERS = {"concat": ConcatFuser, "gated": GatedFuser, "attention": CrossAttentionFuser}
