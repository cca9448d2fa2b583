"""Products with several pictures: the cache's places, one drawn in training, the mean in evaluation."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fusionclf.batches import PictureTransform, ProductSource, decode_pictures, mean_features, open_cache
from fusionclf.batches.stored import PictureCache
from fusionclf.catalog import read_catalog
from fusionclf.config import CatalogConfig, PicturesConfig
from tests.several_pictures import several_pictures

SETTINGS = PicturesConfig(height=16, width=16, fit="stretch", crop_scale=1.0, flip=False)
ROWS = np.arange(4)


@pytest.fixture
def cache() -> PictureCache:
    """Four products: two pictures; one; an unreadable one and two; none. Each has a grey value of its own."""
    levels = [10, 20, 30, None, 40, 50, None]
    pictures = [None if level is None else Image.new("RGB", (16, 16), (level,) * 3) for level in levels]
    return decode_pictures(pictures, (16, 16), np.array([0, 2, 3, 6, 7]))


def levels_of(pictures: torch.Tensor, transform: PictureTransform) -> list[int]:
    return (pictures * transform.std + transform.mean).mul(255).round()[:, 0, 0, 0].int().tolist()


def test_products_have_the_pictures_that_can_be_read(cache: PictureCache) -> None:
    places, owners = cache.read_places(np.array([2, 3, 0]))
    assert places.tolist() == [4, 5, 6, 0, 1] and owners.tolist() == [0, 0, 1, 2, 2]
    assert cache.readable(ROWS).tolist() == [True, True, True, False]
    some = cache.chosen(np.array([2, 0]))
    assert some.starts is not None and some.starts.tolist() == [0, 3, 5]
    assert some.readable(np.arange(2)).all() and some.picture(4)[0, 0, 0] == 20


def test_an_evaluation_batch_holds_all_pictures_and_shares(cache: PictureCache) -> None:
    transform = PictureTransform(cache, SETTINGS)
    batch = ProductSource(transform, None, {}).evaluation(ROWS)
    assert batch.pictures is not None and batch.pooling is not None
    assert levels_of(batch.pictures[:5], transform) == [10, 20, 30, 40, 50]
    assert not batch.pictures[5].any()  # without a picture: the mean colour
    assert batch.pooling.tolist() == [
        [0.5, 0.5, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0], [0, 0, 0, 0, 0, 1],
    ]  # fmt: skip


def test_products_with_one_picture_are_as_without_the_others(cache: PictureCache) -> None:
    alone = replace(cache, starts=None)
    whole, single = (PictureTransform(each, SETTINGS, seed=3) for each in (cache, alone))
    assert whole.pooling(np.array([1, 3])) is None and single.pooling(ROWS) is None
    assert torch.equal(whole.evaluation(np.array([1])), single.evaluation(np.array([2])))


def test_training_draws_one_picture_of_each_product(cache: PictureCache) -> None:
    transform = PictureTransform(cache, SETTINGS, seed=1)
    seen = [levels_of(transform.training(ROWS[:3], epoch), transform) for epoch in range(40)]
    first, second, third = zip(*seen, strict=True)
    assert set(first) == {10, 20} and set(second) == {30} and set(third) == {40, 50}
    assert 10 <= first.count(10) <= 30
    again = levels_of(transform.training(ROWS[[2, 0]], 7), transform)
    assert again == [seen[7][2], seen[7][0]]  # whatever the batch


def test_cached_features_are_means_over_readable_pictures(cache: PictureCache) -> None:
    features = np.array([[1.0], [3], [5], [100], [6], [8], [9]], np.float32)
    assert mean_features(features, cache).ravel().tolist() == [2, 5, 7, 9]
    assert mean_features(features, replace(cache, starts=None)) is features


def test_the_disk_cache_holds_all_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    data = several_pictures(tmp_path / "data")
    catalog = read_catalog(data, CatalogConfig(picture="images/{pictures}", picture_separator="|"))
    for cache in (open_cache(catalog, (64, 64)), open_cache(catalog, (64, 64))):  # built, then read
        assert cache.starts is not None and cache.digests is not None
        counts = [len(paths) for paths in catalog.all_picture_paths()]
        assert np.diff(cache.starts).tolist() == counts and set(counts) == {1, 2, 3}
        assert len(cache.digests) == sum(counts)
    key = open_cache(catalog, (64, 64)).key
    (data / catalog.further_pictures[min(catalog.further_pictures)][0]).write_bytes(b"changed")
    assert open_cache(catalog, (64, 64), unreadable="drop").key != key
