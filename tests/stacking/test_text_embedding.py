"""Embeddings of a catalog's texts: prediction finds what training has embedded."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from fusionclf.batches import Tokeniser
from fusionclf.config import TrainConfig
from fusionclf.console import SILENT
from fusionclf.models import text_encoders
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


class NotCalled:
    """A tokeniser that may not be called."""

    def __init__(self, tokeniser: Tokeniser) -> None:
        self.longest, self.vocabulary_key = tokeniser.longest, tokeniser.vocabulary_key


def test_prediction_finds_the_texts_of_training(tiny_bert: Path) -> None:
    embed = _embedder(tiny_bert)
    titles, texts = embed(TEXTS), embed(TEXTS, 9)
    predicting = EmbeddingCache(lambda new, *_: pytest.fail(f"embedded again: {new}"))
    predicting.kept = embed.encoder.open_kept("no")
    np.testing.assert_array_equal(predicting(TEXTS), titles)
    np.testing.assert_array_equal(predicting(TEXTS, 9), texts)
    assert not np.allclose(titles[0], titles[1])


def test_a_corrected_configuration_embeds_again(tiny_bert: Path, tmp_path: Path) -> None:
    first = _embedder(tiny_bert)(TEXTS)
    bert = Path(shutil.copytree(tiny_bert, tmp_path / "bert"))
    config = json.loads((bert / "config.json").read_text())
    (bert / "config.json").write_text(json.dumps({**config, "num_attention_heads": 4}))
    second, expected = _embedder(bert)(TEXTS), _embedder(bert, cache_features=False)(TEXTS)
    np.testing.assert_allclose(second, expected, atol=1e-6)
    assert not np.allclose(first, expected, atol=1e-6)


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


def test_progress_counts_distinct_texts(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_encoders, "SORTED_TOGETHER", 2)
    seen = list[tuple[int, int]]()
    _embedder(tiny_bert).encoder.compute(TEXTS, None, lambda *step: seen.append(step))
    assert [count for _, count in seen] == [3] * len(seen)
    assert [done for done, _ in seen] == sorted({done for done, _ in seen}) and seen[-1][0] == 3


def test_the_key_of_a_vocabulary_tells_tokenizers_apart(tiny_bert: Path) -> None:
    first, second = (build_transformer(str(tiny_bert), frozen=True).tokeniser for _ in range(2))
    second(TEXTS, 3)  # a tokenizer keeps the length of its last call
    assert first.vocabulary_key() == second.vocabulary_key()
    second.tokenizer.add_tokens(["zeppelin"])
    assert first.vocabulary_key() != second.vocabulary_key()


def test_a_second_run_tokenises_nothing(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = _embedder(tiny_bert)(TEXTS)
    second = _embedder(tiny_bert)
    monkeypatch.setattr(second.encoder, "tokeniser", NotCalled(second.encoder.tokeniser))
    np.testing.assert_array_equal(second(TEXTS), found)


def test_what_was_embedded_counts_once(tiny_bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "fusionclf.stacking.text_embedding.cached_features",
        lambda kind, key, rows, compute, *_: (compute(), {"seconds": 100.0}),
    )
    embed = _embedder(tiny_bert)
    for _ in range(3):
        embed(TEXTS)
    assert 90 < embed.saved_seconds <= 100
