"""Pictures → normalised tensors, whole batches at a time.

Training: a random crop of the area, resized, and a flip, with torchvision's RandomResizedCrop's sampling.
Evaluation: Resize to 1.15 × size, then CenterCrop (`crop`), or the whole picture resized (`stretch`).
All randomness is drawn from (seed, epoch, product, occurrence), so a product looks the same in an epoch whatever the
batch order or the number of processes, and after resuming.
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

# Mean and standard deviation of each channel: torchvision's reference training, TensorFlow's Inception networks, and
# OpenAI's CLIP.
STATISTICS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "clip": ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
RESIZE_FACTOR = 1.15
CROP_TRIES = 10
MOST_BYTES = 64 * 10**6  # float32 pictures that are resized together
BOX_DRAWS = (
    4 * CROP_TRIES
)  # followed by three more: flip, the augmentation's seed, and which of several pictures

Size = tuple[int, int]  # height and width in pixels


def cover_size(settings: PicturesConfig) -> Size:
    """Height and width that a cached picture must cover for these settings."""
    return int(settings.height * RESIZE_FACTOR), int(settings.width * RESIZE_FACTOR)


def uniforms(seed: int, epoch: int, rows: np.ndarray, draws: int) -> np.ndarray:
    """(B, draws) numbers in [0, 1) that only depend on (seed, epoch, row, draw).

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
    """Crop boxes, drawn as in RandomResizedCrop.

    Args:
        draws: (B, 4 · tries) uniform numbers.
        sizes: (B, 2) height and width of each picture.
        smallest: least share of the area.
        aspect: width over height that counts as undistorted (1 for torchvision's square crops).

    Returns:
        (B, 4) top, left, height, width in pixels. The first try that fits is used; where none fits, the
        whole picture, cut to the aspect range.
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
    """Size and augmentation of training pictures, which may change by epoch and stage.

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
    """Products of a picture cache → (B, 3, H, W) normalised float32, channels last."""

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
        """One randomly cropped and flipped picture of each product; of several, one that is drawn.

        Args:
            rows: (B,) catalog rows.
            epoch: seed of the randomness, besides seed and row.
            occurrences: (B,) how often each row came before in the epoch; None: 0 for all.
            view: another size, or an augmentation after crop and flip.
        """
        view = view or View()
        size = view.size or self.size
        draws = uniforms(self.seed, epoch, _keys(rows, occurrences), BOX_DRAWS + 3)
        flips = torch.from_numpy((draws[:, BOX_DRAWS] < 0.5) & self.settings.flip)
        seeds = (draws[:, BOX_DRAWS + 1] * 2.0**53).astype(np.int64)
        aspect = size[1] / size[0] if self.settings.fit == "stretch" else 1.0
        places = self._drawn(rows, draws[:, BOX_DRAWS + 2])
        sizes = np.maximum(self.cache.sizes[places], 1)
        boxes = random_boxes(draws[:, :BOX_DRAWS], sizes, self.settings.crop_scale, aspect)

        def augment(pictures: Tensor, at: np.ndarray) -> Tensor:
            pictures = _cropped(pictures, boxes[at], flips[at], size)
            return pictures if view.augment == "none" else augmented(pictures, view.augment, seeds[at])

        return self._by_size(places, size, augment)

    def evaluation(self, rows: np.ndarray) -> Tensor:
        """(P, 3, H, W): centre crops or whole pictures, of each product all that can be read, one at least."""
        places, _ = self.cache.read_places(rows)
        return self._by_size(places, self.size, lambda pictures, _: self._whole(pictures))

    def pooling(self, rows: np.ndarray) -> Tensor | None:
        """(B, P) share of each picture of `evaluation` in its product's mean; None where each has one picture."""
        if self.cache.starts is None:
            return None
        _, owners = self.cache.read_places(rows)
        if len(owners) == len(rows):
            return None
        shares = torch.zeros(len(rows), len(owners))
        shares[owners, np.arange(len(owners))] = torch.from_numpy(1 / np.bincount(owners)[owners]).float()
        return shares

    def _drawn(self, rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """(B,) the place of one picture of each product, by numbers in [0, 1)."""
        if self.cache.starts is None:
            return rows
        places, owners = self.cache.read_places(rows)
        counts = np.bincount(owners)
        return places[counts.cumsum() - counts + (draws * counts).astype(np.int64)]

    def _by_size(
        self, shown: np.ndarray, size: Size, transform: Callable[[Tensor, np.ndarray], Tensor]
    ) -> Tensor:
        """Apply `transform` to each group of pictures of one size; unreadable pictures become mean grey (0)."""
        groups: dict[Size, list[int]] = defaultdict(list)
        for place, (height, width) in enumerate(self.cache.sizes[shown].tolist()):
            if height and width:
                groups[height, width].append(place)
        out: Tensor | None = None
        for places in _in_memory(groups, size):
            raw = np.stack([self.cache.picture(place) for place in shown[places].tolist()])  # (b, h, w, 3)
            pictures = torch.from_numpy(raw).permute(0, 3, 1, 2).float().div_(255)  # channels last
            found = transform(pictures, np.asarray(places)).sub_(self.mean).div_(self.std)  # (b, 3, H, W)
            found = found.contiguous(memory_format=torch.channels_last)
            if len(places) == len(shown):
                return found
            out = _grey(len(shown), size) if out is None else out
            out[places] = found
        return _grey(len(shown), size) if out is None else out

    def _whole(self, pictures: Tensor) -> Tensor:
        mode = self.settings.interpolation
        if self.settings.fit == "stretch":
            return _resize(pictures, self.size, mode)
        height, width = pictures.shape[2:]
        scale = max(int(n * RESIZE_FACTOR) / old for n, old in zip(self.size, (height, width), strict=True))
        resized = _resize(pictures, (int(height * scale + 1e-6), int(width * scale + 1e-6)), mode)
        top, left = (round((n - size) / 2) for n, size in zip(resized.shape[2:], self.size, strict=True))
        return resized[:, :, top : top + self.size[0], left : left + self.size[1]]


def _in_memory(groups: dict[Size, list[int]], size: Size) -> Iterator[list[int]]:
    """The indices of each group, in chunks that take at most MOST_BYTES while they are resized."""
    for (height, width), places in groups.items():
        scale = max(RESIZE_FACTOR * new / old for new, old in zip(size, (height, width), strict=True))
        pixels = height * width * max(scale**2, 1)
        count = max(1, int(MOST_BYTES / (pixels * 3 * 4)))
        yield from (places[start : start + count] for start in range(0, len(places), count))


def _keys(rows: np.ndarray, occurrences: np.ndarray | None) -> np.ndarray:
    """(B,) a number for each row and occurrence: the row itself at its first occurrence.

    `uniforms` multiplies it by 1024, so all are different below 2^32 rows and 2^22 occurrences.
    """
    return rows if occurrences is None else rows + (occurrences.astype(np.int64) << 32)


def _grey(count: int, size: Size) -> Tensor:
    return torch.empty(count, 3, *size, memory_format=torch.channels_last).zero_()


def _cropped(pictures: Tensor, boxes: np.ndarray, flips: Tensor, size: Size) -> Tensor:
    """(b, 3, *size): each picture's box, resized, and mirrored where `flips` is True."""
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


def _resize(pictures: Tensor, size: Size, mode: str) -> Tensor:
    if tuple(pictures.shape[2:]) == size:
        return pictures
    pictures = pictures.contiguous()  # the antialiased kernel is faster by channel, with equal results
    return F.interpolate(pictures, size, mode=mode, antialias=True, align_corners=False).clamp_(0, 1)
