"""Texts are embedded once, and forgotten all at once."""

import numpy as np

from fusionclf.models.layers.embedding_cache import EmbeddingCache


def test_a_text_is_embedded_once_until_all_are_forgotten() -> None:
    embedded: list[list[str]] = []

    def compute(texts: list[str]) -> np.ndarray:
        embedded.append(texts)
        return np.array([[len(text), ord(text[0])] for text in texts], float).reshape(-1, 2)

    embed = EmbeddingCache(compute, most=3)
    assert embed(["a", "bb", "a"]).tolist() == [[1, 97], [2, 98], [1, 97]]
    assert embed(["bb", "ccc"]).tolist() == [[2, 98], [3, 99]]
    assert embed(["a"]).tolist() == [[1, 97]]
    assert embedded == [["a", "bb"], ["ccc"]]
    assert embed(["a", "dddd"]).tolist() == [[1, 97], [4, 100]]  # one more than is remembered
    assert embedded[2:] == [["dddd"]]
    assert embed(["a"]).tolist() == [[1, 97]] and embedded[3:] == [["a"]]  # so all were forgotten
    assert embed([]).shape == (0, 2)
