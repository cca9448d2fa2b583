"""Mixup and CutMix: a batch of pictures blended with itself, and the targets with it.

A product's partner is the one at the mirrored place of the batch that this process holds. How much is mixed is drawn
from (seed, epoch, step) alone, so a resumed run mixes as the uncut one does.

Source: Zhang et al., mixup (2018); Yun et al., CutMix (2019), equation 2 for the box.
"""

from dataclasses import dataclass, replace

import numpy as np
from torch import Tensor

from fusionclf.batches import Batch


@dataclass(frozen=True)
class Mix:
    """How a batch is mixed.

    Attributes:
        share: of a product's own picture, in (0, 1]; for a box before it is cut, see `mix`.
        box: centre of the box as shares of height and width; None for mixup.
    """

    share: float
    box: tuple[float, float] | None = None


def draw_mix(mixup: float, cutmix: float, seed: int, epoch: int, step: int) -> Mix | None:
    """The mix of one step; with both alphas set, one of the two by a fair coin; None where both are 0."""
    if not mixup and not cutmix:
        return None
    generator = np.random.default_rng([seed, epoch, step])
    cut = bool(cutmix) and (not mixup or generator.random() < 0.5)
    alpha = cutmix if cut else mixup
    share = float(generator.beta(alpha, alpha))
    return Mix(share, (generator.random(), generator.random()) if cut else None)


def mix(batch: Batch, how: Mix) -> tuple[Batch, float]:
    """A batch with mixed pictures, and the share of each product's own target.

    Args:
        batch: pictures (B, 3, H, W).
        how: from `draw_mix`.
    """
    assert batch.pictures is not None and batch.pictures.ndim == 4, "mixing needs pictures"
    pictures, partners = batch.pictures, batch.pictures.flip(0)
    if how.box is None:
        return replace(batch, pictures=pictures.lerp(partners, 1 - how.share)), how.share
    height, width = pictures.shape[2:]
    side = (1 - how.share) ** 0.5
    (top, bottom), (left, right) = (
        _clipped(centre, side, size) for centre, size in zip(how.box, (height, width), strict=True)
    )
    mixed = pictures.clone()
    mixed[:, :, top:bottom, left:right] = partners[:, :, top:bottom, left:right]
    return replace(batch, pictures=mixed), 1 - (bottom - top) * (right - left) / (height * width)


def _clipped(centre: float, side: float, size: int) -> tuple[int, int]:
    return max(round((centre - side / 2) * size), 0), min(round((centre + side / 2) * size), size)


def partner_targets(targets: Tensor) -> Tensor:
    """(B,) the target of each product's partner."""
    return targets.flip(0)
