"""Batched transforms against torchvision's, picture by picture."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms import functional as TF

from fusionclf.batches import PictureCache, PictureTransform, View, uniforms
from fusionclf.batches.augmentation import augmentation, augmented
from fusionclf.batches.transforms import CROP_TRIES, STATISTICS, _keys, random_boxes
from fusionclf.config import PicturesConfig
from fusionclf.errors import SettingsError

SIZES = [(80, 60), (80, 60), (64, 64), (90, 50)]

MEAN, STD = (torch.tensor(values).view(3, 1, 1) for values in STATISTICS["imagenet"])


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
        expected = (TF.center_crop(resized, [64, 64]) - MEAN) / STD
        assert torch.allclose(found[row], expected, atol=2e-2)
        assert (found[row] - expected).abs().mean() < 1e-3


def test_stretch_shows_the_whole_picture() -> None:
    cache = cache_of([(80, 60)])
    found = PictureTransform(cache, PicturesConfig(height=40, width=30, fit="stretch")).evaluation(
        np.array([0])
    )
    expected = (TF.resize(as_tensor(cache, 0), [40, 30], antialias=True) - MEAN) / STD
    assert torch.allclose(found[0], expected, atol=1e-4)


def test_pictures_are_normalised_as_the_encoders_weights_were_trained() -> None:
    cache, settings = (
        cache_of([(40, 30)]),
        PicturesConfig(height=40, width=30, fit="stretch", normalisation="inception"),
    )
    found = PictureTransform(cache, settings)
    assert torch.allclose(found.evaluation(np.array([0]))[0], as_tensor(cache, 0) * 2 - 1, atol=1e-5)
    assert found.training(np.arange(1), epoch=0).abs().max() <= 1


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
        assert torch.allclose(found[row][inner], ((expected - MEAN) / STD)[inner], atol=1e-3)


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


@pytest.mark.parametrize("stage", ["training", "evaluation"])
def test_a_batch_of_one_size_and_one_of_many_give_the_same(stage: str) -> None:
    transform = PictureTransform(cache_of([*SIZES, (0, 0)]), PicturesConfig(height=32, width=24))
    epoch = (1,) if stage == "training" else ()
    show = getattr(transform, stage)
    many = show(np.arange(5), *epoch)
    assert many.is_contiguous(memory_format=torch.channels_last) and (many[4] == 0).all()
    for rows in ([0, 1], [2], [3], [4]):
        one = show(np.array(rows), *epoch)
        assert one.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(one, many[rows])


def test_the_first_showing_is_what_a_row_looks_like_without_one() -> None:
    transform = PictureTransform(cache_of(SIZES), PicturesConfig(height=32, width=32), seed=1)
    plain = transform.training(np.arange(4), 1)
    assert torch.equal(transform.training(np.arange(4), 1, np.zeros(4, np.int64)), plain)
    assert torch.equal(transform.training(np.arange(4), 1, None, View()), plain)


def test_copies_of_a_row_in_an_epoch_look_different() -> None:
    transform = PictureTransform(cache_of(SIZES), PicturesConfig(height=32, width=32), seed=1)
    copies = transform.training(np.zeros(6, np.int64), 1, np.arange(6))
    for a in range(6):
        for b in range(a):
            assert not torch.allclose(copies[a], copies[b])
    again = transform.training(np.array([2, 0]), 1, np.array([0, 5]))
    assert torch.equal(again[1], copies[5])


def test_rows_and_showings_share_no_draws() -> None:
    rows = np.array([0, 1, 2**32 - 1])
    occurrences = np.array([0, 1, 2**14, 2**22 - 1])
    draws = [uniforms(0, 1, _keys(rows, np.full(3, showing)), 42) for showing in occurrences]
    assert len(np.unique(draws)) == len(rows) * len(occurrences) * 42


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_a_view_has_the_size_that_was_asked_for(fit: str) -> None:
    transform = PictureTransform(cache_of(SIZES), PicturesConfig(height=64, width=48, fit=fit))  # pyright: ignore
    small = View(size=(32, 20))
    assert transform.training(np.arange(4), 1, view=small).shape == (4, 3, 32, 20)
    assert transform.evaluation(np.arange(4)).shape == (4, 3, 64, 48)
    as_settings = PictureTransform(cache_of(SIZES), PicturesConfig(height=32, width=20, fit=fit))  # pyright: ignore
    assert torch.equal(transform.training(np.arange(4), 1, view=small), as_settings.training(np.arange(4), 1))


def test_an_unknown_augmentation_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match=r"'trival': .* did you mean 'trivial'"):
        View(augment="trival")


@pytest.mark.parametrize("name", ["trivial", "rand"])
def test_augmentation_is_what_torchvision_does_after_the_seed(name: str) -> None:
    pictures, seeds = torch.rand(30, 3, 40, 30), np.arange(30) * 7
    found = augmented(pictures, name, seeds)
    levels = (pictures * 255).round().to(torch.uint8)
    with torch.random.fork_rng(devices=[]):
        for picture, seed, result in zip(levels, seeds.tolist(), found, strict=True):
            torch.manual_seed(seed)
            assert torch.equal(augmentation(name)(picture), (result * 255).round().to(torch.uint8))


@pytest.mark.parametrize("name", ["trivial", "rand"])
def test_augmentation_depends_on_seed_epoch_row_and_showing_alone(name: str) -> None:
    transform = PictureTransform(cache_of(SIZES * 4), PicturesConfig(height=32, width=32), seed=1)
    rows, first, view = np.arange(16), np.zeros(16, np.int64), View(augment=name)
    whole = transform.training(rows, 1, first, view)
    torch.manual_seed(5)
    assert torch.equal(transform.training(rows[[9, 2, 4]], 1, first[:3], view), whole[[9, 2, 4]])
    plain = transform.training(rows, 1)
    assert _differing(whole, plain) > 8
    assert _differing(whole, transform.training(rows, 2, first, view)) == 16
    assert _differing(whole, transform.training(rows, 1, first + 1, view)) == 16
    assert whole.is_contiguous(memory_format=torch.channels_last)


def _differing(some: torch.Tensor, others: torch.Tensor) -> int:
    """How many pictures differ by more than the rounding to 256 levels."""
    return sum(not torch.allclose(a, b, atol=0.02) for a, b in zip(some, others, strict=True))


@pytest.mark.parametrize("name", ["trivial", "rand"])
def test_augmentation_leaves_the_global_generator_alone_on_other_threads_too(name: str) -> None:
    pictures, seeds = torch.rand(16, 3, 24, 24), np.arange(16)
    expected = augmented(pictures, name, seeds)
    torch.manual_seed(3)
    drawn = torch.rand(3000)
    torch.manual_seed(3)
    with ThreadPoolExecutor(1) as pool:
        futures = [pool.submit(augmented, pictures, name, seeds) for _ in range(4)]
        found = torch.cat([torch.rand(1) for _ in range(3000)])
    assert torch.equal(found, drawn)
    assert all(torch.equal(future.result(), expected) for future in futures)


def test_uniforms_stay_what_they_were() -> None:
    found = uniforms(3, 2, np.array([0, 7]), 3)
    expected = [
        [0.139603374, 0.614041847, 0.371551932],
        [0.000429235932, 0.390524480, 0.147119503],
    ]
    assert np.allclose(found, expected, rtol=1e-7)


@pytest.mark.parametrize("rows", [10, 1000])
def test_uniforms_are_uniform(rows: int) -> None:
    values = uniforms(0, 1, np.arange(rows), 40)
    assert ((values >= 0) & (values < 1)).all()
    assert abs(values.mean() - 0.5) < 0.05
    assert len(np.unique(values)) == values.size


@pytest.mark.parametrize("fit", ["crop", "stretch"])
def test_few_pictures_at_a_time_give_the_same_pixels(fit: str, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = cache_of([*SIZES, *SIZES])
    settings = PicturesConfig.model_validate({"height": 32, "width": 32, "fit": fit})
    transform = PictureTransform(cache, settings)
    rows = np.arange(8)
    whole = transform.evaluation(rows), transform.training(rows, 0)
    monkeypatch.setattr("fusionclf.batches.transforms.MOST_BYTES", 1)  # one picture at a time
    assert torch.equal(transform.evaluation(rows), whole[0])
    assert torch.allclose(transform.training(rows, 0), whole[1], atol=1e-6)
