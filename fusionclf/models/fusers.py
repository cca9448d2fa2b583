"""Fusers: a picture's features and a title's features → one vector."""

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


FUSERS = {"concat": ConcatFuser, "gated": GatedFuser}
