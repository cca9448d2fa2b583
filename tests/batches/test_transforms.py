"""Batched transforms against torchvision's, picture by picture."""

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from fusionclf.batches import PictureCache, PictureTransform, uniforms
from fusionclf.batches.transforms import CROP_TRIES, MEAN, STD, random_boxes
from fusionclf.config import PicturesConfig

SIZES = [(80, 60), (80, 60), (64, 64), (90, 50)]


def cache_of(sizes: list[tuple[int, int]]) -> PictureCache:
    generator = np.random.default_rng(0)
    pictures = [generator.integers(0, 256, (h, w, 3), np.uint8) for h, w in sizes]
    offsets = np.cumsum([0] + [p.size for p in pictures])[:-1]
    return PictureCache(np.concatenate([p.ravel() for p in pictures]), offsets, np.array(sizes, np.int32))


def as_tensor(cache: PictureCache, row: int) -> torch.Tensor:
    return torch.from_numpy(cache.picture(row).copy()).permute(2, 0, 1).float() / 255


def test_evaluation_equals_torchvision_resize_and_centre_crop() -> None:
    cache = cache_of([(80, 60), (64, 64)])
    found = PictureTransform(cache, PicturesConfig(height=64, width=64)).evaluation(np.array([0, 1]))
    for row in (0, 1):
        resized = TF.resize(
            as_tensor(cache, row), [int(1.15 * 64)], InterpolationMode.BILINEAR, antialias=True
        )
        expected = (TF.center_crop(resized, [64, 64]) - MEAN[0]) / STD[0]
        assert torch.allclose(found[row], expected, atol=2e-2)
        assert (found[row] - expected).abs().mean() < 1e-3


def test_stretch_shows_the_whole_picture() -> None:
    cache = cache_of([(80, 60)])
    found = PictureTransform(cache, PicturesConfig(height=40, width=30, fit="stretch")).evaluation(
        np.array([0])
    )
    expected = (TF.resize(as_tensor(cache, 0), [40, 30], antialias=True) - MEAN[0]) / STD[0]
    assert torch.allclose(found[0], expected, atol=1e-4)


def test_a_random_crop_is_what_torchvision_cuts_and_resizes() -> None:
    cache = cache_of([(80, 60)] * 8)
    settings = PicturesConfig(height=64, width=64, flip=False)
    rows = np.arange(8)
    found = PictureTransform(cache, settings, seed=3).training(rows, epoch=2)
    draws = uniforms(3, 2, rows, 4 * CROP_TRIES + 1)
    boxes = random_boxes(draws[:, :-1], cache.sizes, 0.5).astype(int)
    for row, (top, left, height, width) in enumerate(boxes):
        expected = TF.resized_crop(as_tensor(cache, row), top, left, height, width, [64, 64], antialias=False)
        inner = (slice(None), slice(2, -2), slice(2, -2))  # at its edge ours sees the pixels beyond the crop
        assert torch.allclose(found[row][inner], ((expected - MEAN[0]) / STD[0])[inner], atol=1e-3)


def test_crops_keep_area_aspect_and_bounds() -> None:
    sizes = np.tile([[80, 60]], (4000, 1))
    boxes = random_boxes(uniforms(0, 1, np.arange(4000), 4 * CROP_TRIES), sizes, 0.5)
    top, left, height, width = boxes.T
    share = height * width / 4800
    assert (
        (top >= 0).all() and (left >= 0).all() and (top + height <= 80).all() and (left + width <= 60).all()
    )
    assert 0.48 < share.min() and share.max() <= 1.0
    ratio = width / height
    assert 0.70 < ratio.min() and ratio.max() < 1.40


def test_flips_mirror_about_half_of_the_pictures() -> None:
    cache = cache_of([(16, 16)] * 400)
    plain = PictureTransform(cache, PicturesConfig(height=16, width=16, flip=False)).training(
        np.arange(400), 1
    )
    flipped = PictureTransform(cache, PicturesConfig(height=16, width=16)).training(np.arange(400), 1)
    mirrored = [torch.allclose(flipped[n], plain[n].flip(-1), atol=1e-4) for n in range(400)]
    same = [torch.allclose(flipped[n], plain[n], atol=1e-4) for n in range(400)]
    assert all(m != s for m, s in zip(mirrored, same, strict=True))
    assert 150 < sum(mirrored) < 250


def test_augmentation_depends_on_seed_epoch_and_product_alone() -> None:
    cache = cache_of(SIZES)
    transform = PictureTransform(cache, PicturesConfig(height=32, width=32), seed=1)
    whole = transform.training(np.arange(4), epoch=1)
    assert torch.equal(transform.training(np.array([3, 1]), epoch=1), whole[[3, 1]])
    assert not torch.allclose(transform.training(np.arange(4), epoch=2), whole)
    other = PictureTransform(cache, PicturesConfig(height=32, width=32), seed=2)
    assert not torch.allclose(other.training(np.arange(4), epoch=1), whole)


def test_an_unreadable_picture_is_mean_grey() -> None:
    cache = cache_of([(0, 0), (8, 8)])
    batch = PictureTransform(cache, PicturesConfig(height=16, width=16)).evaluation(np.array([0, 1]))
    assert (batch[0] == 0).all() and batch[1].abs().sum() > 0


@pytest.mark.parametrize("rows", [10, 1000])
def test_uniforms_are_uniform(rows: int) -> None:
    values = uniforms(0, 1, np.arange(rows), 40)
    assert ((values >= 0) & (values < 1)).all()
    assert abs(values.mean() - 0.5) < 0.05
    assert len(np.unique(values)) == values.size
