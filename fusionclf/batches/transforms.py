"""Pictures → normalised tensors, whole batches at a time.

Training: a random crop of the area, resized, and a flip, with torchvision's RandomResizedCrop's sampling.
Evaluation: Resize to 1.15 × size, then CenterCrop (`crop`), or the whole picture resized (`stretch`).
All randomness is drawn from (seed, epoch, product, showing), so neither batch order, nor the number of processes,
nor a resumed run changes what a product looks like in an epoch.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fusionclf.batches.augmentation import AUGMENTATIONS, augmented
from fusionclf.batches.cache import PictureCache
from fusionclf.config import PicturesConfig
from fusionclf.errors import SettingsError, did_you_mean

# Mean and standard deviation of each channel: torchvision's reference training, and TensorFlow's Inception networks.
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
RESIZE_FACTOR = 1.15
CROP_TRIES = 10
MOST_BYTES = 64 * 10**6  # of float32 pictures that are resized together
BOX_DRAWS = 4 * CROP_TRIES  # the draws after these: whether to flip, and the augmentation's seed

Size = tuple[int, int]  # height and width in pixels


def cover_size(settings: PicturesConfig) -> Size:
    """Height and width that a cached picture must cover for these settings."""
    return int(settings.height * RESIZE_FACTOR), int(settings.width * RESIZE_FACTOR)


def uniforms(seed: int, epoch: int, rows: np.ndarray, draws: int) -> np.ndarray:
    """(B, draws) numbers in [0, 1) that depend on (seed, epoch, row, draw) alone.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014), used as a counter-based generator.
    """
    with np.errstate(over="ignore"):
        stream = np.uint64(seed) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(epoch)
        state = _mix(
            stream
            + _mix(rows.astype(np.uint64)[:, None] * np.uint64(1024) + np.arange(draws, dtype=np.uint64))
        )
    return (state >> np.uint64(11)).astype(np.float64) / 2.0**53


def _mix(state: np.ndarray) -> np.ndarray:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def random_boxes(draws: np.ndarray, sizes: np.ndarray, smallest: float, aspect: float = 1.0) -> np.ndarray:
    """Crop boxes as RandomResizedCrop draws them.

    Args:
        draws: (B, 4 · tries) uniform numbers.
        sizes: (B, 2) height and width of each picture.
        smallest: least share of the area.
        aspect: width over height that counts as undistorted (1 for torchvision's square crops).

    Returns:
        (B, 4) top, left, height, width in pixels. The first try that fits wins; where none does, the
        whole picture, cut to the aspect range, is taken.
    """
    height, width = (sizes[:, i, None].astype(float) for i in (0, 1))
    scale, ratio, top, left = np.split(draws, 4, axis=1)  # each (B, tries)
    area = height * width * (smallest + (1 - smallest) * scale)
    low, high = np.log(aspect * 3 / 4), np.log(aspect * 4 / 3)
    ratio = np.exp(low + (high - low) * ratio)
    w, h = np.round(np.sqrt(area * ratio)), np.round(np.sqrt(area / ratio))
    fits = (w > 0) & (w <= width) & (h > 0) & (h <= height)
    first = fits.argmax(axis=1)
    pick = (np.arange(len(sizes)), first)
    h, w = h[pick], w[pick]
    boxes = np.stack(
        [(top[pick] * (sizes[:, 0] - h + 1)) // 1, (left[pick] * (sizes[:, 1] - w + 1)) // 1, h, w], 1
    )
    return np.where(fits.any(axis=1)[:, None], boxes, _central_box(sizes, aspect))


def _central_box(sizes: np.ndarray, aspect: float) -> np.ndarray:
    height, width = sizes[:, 0].astype(float), sizes[:, 1].astype(float)
    h = np.minimum(height, np.round(width / (aspect * 3 / 4)))
    w = np.minimum(width, np.round(height * (aspect * 4 / 3)))
    return np.stack([(height - h) // 2, (width - w) // 2, h, w], 1)


@dataclass(frozen=True)
class View:
    """How a training picture is shown, where that differs from epoch to epoch or stage to stage.

    Attributes:
        size: height and width in pixels; None for the pictures' own.
        augment: "none", or after crop and flip "trivial" (TrivialAugment) or "rand" (RandAugment).

    Raises:
        SettingsError: `augment` is none of these.
    """

    size: Size | None = None
    augment: str = "none"

    def __post_init__(self) -> None:
        if self.augment not in ("none", *AUGMENTATIONS):
            allowed = did_you_mean(self.augment, ["none", *AUGMENTATIONS])
            raise SettingsError(f"augment={self.augment!r}: no such augmentation; {allowed}")


class PictureTransform:
    """Rows of a picture cache → (B, 3, H, W) normalised float32, channels last."""

    def __init__(self, cache: PictureCache, settings: PicturesConfig, seed: int = 0) -> None:
        self.cache = cache
        self.settings = settings
        self.seed = seed
        self.size = (settings.height, settings.width)
        mean, std = STATISTICS[settings.normalisation]
        self.mean, self.std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))

    def training(
        self, rows: np.ndarray, epoch: int, occurrences: np.ndarray | None = None, view: View | None = None
    ) -> Tensor:
        """Randomly cropped and flipped pictures.

        Args:
            rows: (B,) catalog rows.
            epoch: what the randomness depends on, besides seed and row.
            occurrences: (B,) which showing of its row within the epoch each is; None: all are the first, 0.
            view: another size, or an augmentation after crop and flip.
        """
        view = view or View()
        size = view.size or self.size
        draws = uniforms(self.seed, epoch, _keys(rows, occurrences), BOX_DRAWS + 2)
        flips = torch.from_numpy((draws[:, BOX_DRAWS] < 0.5) & self.settings.flip)
        seeds = (draws[:, BOX_DRAWS + 1] * 2.0**53).astype(np.int64)
        aspect = size[1] / size[0] if self.settings.fit == "stretch" else 1.0
        sizes = np.maximum(self.cache.sizes[rows], 1)
        boxes = random_boxes(draws[:, :BOX_DRAWS], sizes, self.settings.crop_scale, aspect)

        def shown(pictures: Tensor, at: np.ndarray) -> Tensor:
            pictures = _cropped(pictures, boxes[at], flips[at], size)
            return pictures if view.augment == "none" else augmented(pictures, view.augment, seeds[at])

        return self._by_size(rows, size, shown)

    def evaluation(self, rows: np.ndarray) -> Tensor:
        """Centre crops or whole pictures."""
        return self._by_size(rows, self.size, lambda pictures, _: self._whole(pictures))

    def _by_size(
        self, rows: np.ndarray, size: Size, transform: Callable[[Tensor, np.ndarray], Tensor]
    ) -> Tensor:
        """Apply `transform` to each group of equally large pictures; unreadable ones become mean grey (0)."""
        groups: dict[Size, list[int]] = defaultdict(list)
        for place, (height, width) in enumerate(self.cache.sizes[rows].tolist()):
            if height and width:
                groups[height, width].append(place)
        out: Tensor | None = None
        for places in _in_memory(groups, size):
            raw = np.stack([self.cache.picture(row) for row in rows[places].tolist()])  # (b, h, w, 3)
            pictures = torch.from_numpy(raw).permute(0, 3, 1, 2).float().div_(255)  # channels last
            shown = transform(pictures, np.asarray(places)).sub_(self.mean).div_(self.std)  # (b, 3, H, W)
            shown = shown.contiguous(memory_format=torch.channels_last)
            if len(places) == len(rows):
                return shown
            out = _grey(len(rows), size) if out is None else out
            out[places] = shown
        return _grey(len(rows), size) if out is None else out

    def _whole(self, pictures: Tensor) -> Tensor:
        if self.settings.fit == "stretch":
            return _resize(pictures, self.size)
        height, width = pictures.shape[2:]
        scale = max(int(n * RESIZE_FACTOR) / old for n, old in zip(self.size, (height, width), strict=True))
        resized = _resize(pictures, (int(height * scale + 1e-6), int(width * scale + 1e-6)))
        top, left = (round((n - size) / 2) for n, size in zip(resized.shape[2:], self.size, strict=True))
        return resized[:, :, top : top + self.size[0], left : left + self.size[1]]


def _in_memory(groups: dict[Size, list[int]], size: Size) -> Iterator[list[int]]:
    """The places of each group, at most as many at a time as MOST_BYTES hold while they are resized."""
    for (height, width), places in groups.items():
        scale = max(RESIZE_FACTOR * new / old for new, old in zip(size, (height, width), strict=True))
        pixels = height * width * max(scale**2, 1)
        count = max(1, int(MOST_BYTES / (pixels * 3 * 4)))
        yield from (places[start : start + count] for start in range(0, len(places), count))


def _keys(rows: np.ndarray, occurrences: np.ndarray | None) -> np.ndarray:
    """(B,) a number for each row and showing: the row itself at its first showing.

    `uniforms` multiplies it by 1024; so no two are alike below 2^32 rows and 2^22 occurrences.
    """
    return rows if occurrences is None else rows + (occurrences.astype(np.int64) << 32)


def _grey(count: int, size: Size) -> Tensor:
    return torch.empty(count, 3, *size, memory_format=torch.channels_last).zero_()


def _cropped(pictures: Tensor, boxes: np.ndarray, flips: Tensor, size: Size) -> Tensor:
    """(b, 3, *size): each picture's box, resized, and mirrored where `flips` says so."""
    height, width = pictures.shape[2:]
    top, left, h, w = torch.from_numpy(boxes).float().unbind(1)
    mirror = torch.where(flips, -1.0, 1.0)
    theta = torch.zeros(len(pictures), 2, 3)
    theta[:, 0, 0] = w / width * mirror
    theta[:, 1, 1] = h / height
    theta[:, 0, 2] = (2 * left + w) / width - 1
    theta[:, 1, 2] = (2 * top + h) / height - 1
    grid = F.affine_grid(theta, [len(pictures), 3, *size], align_corners=False)
    return F.grid_sample(pictures, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _resize(pictures: Tensor, size: Size) -> Tensor:
    if tuple(pictures.shape[2:]) == size:
        return pictures
    pictures = pictures.contiguous()  # channel by channel the antialiased kernel is faster, to the same bit
    return F.interpolate(pictures, size, mode="bilinear", antialias=True, align_corners=False).clamp_(0, 1)
