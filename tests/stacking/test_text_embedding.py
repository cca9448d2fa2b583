"""Embeddings of a catalog's texts: prediction finds what training has embedded."""

from pathlib import Path

import numpy as np
import pytest

from fusionclf.config import TrainConfig
from fusionclf.console import SILENT
from fusionclf.models.layers.embedding_cache import EmbeddingCache
from fusionclf.models.text_backbones import build_transformer
from fusionclf.stacking.text_embedding import SharedEmbedder
from fusionclf.training import make_accelerator

TEXTS = ["red shirt", "blue shoe", "red shirt", ""]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FUSIONCLF_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def _embedder(bert: Path, **settings: object) -> SharedEmbedder:
    encoder = build_transformer(str(bert), frozen=True).eval()
    return SharedEmbedder(
        encoder, TrainConfig.model_validate(settings), make_accelerator("fp32", cpu=True), SILENT
    )


def test_prediction_finds_the_texts_of_training(tiny_bert: Path) -> None:
    embed = _embedder(tiny_bert)
    titles, texts = embed(TEXTS), embed(TEXTS, 9)
    predicting = EmbeddingCache(lambda new, *_: pytest.fail(f"embedded again: {new}"))
    predicting.kept = embed.encoder.open_kept("no")
    np.testing.assert_array_equal(predicting(TEXTS), titles)
    np.testing.assert_array_equal(predicting(TEXTS, 9), texts)
    assert not np.allclose(titles[0], titles[1])


def test_without_a_cache_of_features_nothing_is_kept(tiny_bert: Path, cache: Path) -> None:
    embed = _embedder(tiny_bert, cache_features=False)
    assert embed(TEXTS).shape[0] == 4 and not cache.exists()


def test_equal_texts_are_embedded_once(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, tokenised = _embedder(tiny_bert).encoder, list[str]()
    tokenise = encoder.tokeniser
    monkeypatch.setattr(
        encoder, "tokeniser", lambda texts, longest: tokenised.extend(texts) or tokenise(texts, longest)
    )
    found = encoder.compute(TEXTS)
    assert sorted(tokenised) == sorted(set(TEXTS))
    np.testing.assert_array_equal(found[0], found[2])
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-5)
