"""Titles against class names: words, cut-short words, and runs of words."""

import numpy as np
import pytest

from fusionclf.models.names import FIGURES, ClassNames, likeness, name_words

NAMES = ["Nail Polish", "Deodorant", "Tshirts", "Lip Gloss", "Lip Care"]


def embed(texts: list[str]) -> np.ndarray:
    """Stands for a sentence encoder: letters counted, length 1."""
    counts = np.array(
        [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
    )
    return counts.reshape(-1, 26) / np.linalg.norm(counts.reshape(-1, 26), axis=1, keepdims=True).clip(1e-9)


def figures(title: str) -> dict[str, np.ndarray]:
    names = ClassNames(NAMES, [f"{name}, Personal Care" for name in NAMES], embed)
    pairs = names.compare([title]).batch(np.array([0]))["pairs"]
    assert pairs.shape == (1, len(NAMES), len(FIGURES))
    return dict(zip(FIGURES, pairs[0].T.numpy(), strict=True))


def test_words_are_singular_and_without_fillers() -> None:
    assert name_words("Perfume and Body Mists") == ["perfume", "body", "mist"]
    assert name_words("Blue T-Shirts, Dresses & Babies") == ["blue", "tshirt", "dress", "baby"]


@pytest.mark.parametrize(
    ("title", "name", "expected"),
    [
        ("polish", "polish", 1.0),
        ("deo", "deodorant", 0.8),
        ("sweatshirt", "shirt", 0.8),
        ("blue", "polish", 0.0),
    ],
)
def test_likeness(title: str, name: str, expected: float) -> None:
    assert likeness(title, name) == expected


def test_a_name_in_the_title_shows_in_the_figures_of_that_class_alone() -> None:
    found = figures("Colorbar Women Red Nail Polish")
    assert found["all"].tolist() == [1, 0, 0, 0, 0]
    assert found["share"].tolist() == pytest.approx([1, 0, 0, 0, 0])
    assert found["from_end"].tolist() == [1, 0, 0, 0, 0]
    assert found["last"][0] == 1
    assert found["run_2"][0] == pytest.approx(1.0, abs=1e-3) and found["run_2"].argmax() == 0


def test_a_word_that_many_names_share_says_less() -> None:
    found = figures("Lip Colour")
    lip_gloss, lip_care = found["share"][3], found["share"][4]
    assert 0 < lip_gloss < 0.5 and lip_gloss == lip_care


def test_a_cut_short_word_counts_in_part() -> None:
    assert figures("Nivea Deo")["like"][1] == pytest.approx(0.8)


def test_an_empty_title_says_nothing_and_does_not_fail() -> None:
    found = figures("")
    assert all(np.isfinite(values).all() for values in found.values())
    assert not any(found[name].any() for name in ("share", "all", "like", "run_1", "last"))
