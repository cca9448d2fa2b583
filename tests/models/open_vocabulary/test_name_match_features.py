"""Titles against class names: words, cut-short words, and runs of words."""

import numpy as np
import pytest

from fusionclf.models.open_vocabulary import name_match_features
from fusionclf.models.open_vocabulary.name_match_features import (
    NAME_MATCH_FEATURES,
    ClassNames,
    LargeNameTable,
)
from fusionclf.models.open_vocabulary.name_words import NameWords, likeness, name_words

NAMES = ["Nail Polish", "Deodorant", "Tshirts", "Lip Gloss", "Lip Care"]


def embed(texts: list[str]) -> np.ndarray:
    """Stands for a sentence encoder: counts of letters, length 1."""
    counts = np.array(
        [[text.lower().count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts]
    )
    return counts.reshape(-1, 26) / np.linalg.norm(counts.reshape(-1, 26), axis=1, keepdims=True).clip(1e-9)


def class_names(**synonyms: list[str]) -> ClassNames:
    others = [synonyms.get(name.replace(" ", "_"), []) for name in NAMES]
    return ClassNames(NAMES, [f"{name}, Personal Care" for name in NAMES], embed, others)


def features(title: str, **synonyms: list[str]) -> dict[str, np.ndarray]:
    names = class_names(**synonyms)
    pairs = names.compare([title]).batch(np.array([0]))["name_match"]
    assert pairs.shape == (1, len(NAMES), len(NAME_MATCH_FEATURES))
    return dict(zip(NAME_MATCH_FEATURES, pairs[0].T.numpy(), strict=True))


def test_titles_compared_later_have_the_same_features(monkeypatch: pytest.MonkeyPatch) -> None:
    names = class_names(Deodorant=["Deo Spray"])
    titles = ["Colorbar Women Red Nail Polish", "", "Lip Gloss", "deo", "Blue Tshirts Pack of 3"] * 8
    rows = np.array([3, 0, 19, 7, 7, 1])
    at_once = names.compare(titles)
    monkeypatch.setattr(
        name_match_features, "MOST_COMPARED", len(NAMES) * 2 * name_match_features.RUNS_PER_TITLE
    )
    later = names.compare(titles)
    assert isinstance(later, LargeNameTable) and not isinstance(at_once, LargeNameTable)
    assert np.array_equal(at_once.batch(rows)["name_match"], later.batch(rows)["name_match"])
    assert later.batch(rows[:0])["name_match"].shape == (0, len(NAMES), len(NAME_MATCH_FEATURES))


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


def test_a_name_in_the_title_shows_for_that_class_alone() -> None:
    found = features("Colorbar Women Red Nail Polish")
    assert found["all"].tolist() == [1, 0, 0, 0, 0]
    assert found["share"].tolist() == pytest.approx([1, 0, 0, 0, 0])
    assert found["from_end"].tolist() == [1, 0, 0, 0, 0]
    assert found["last"][0] == 1
    assert found["run_2"][0] > 0.98 and found["run_2"].argmax() == 0


def test_a_word_that_many_names_share_says_less() -> None:
    found = features("Lip Colour")
    lip_gloss, lip_care = found["share"][3], found["share"][4]
    assert 0 < lip_gloss < 0.5 and lip_gloss == lip_care


def test_a_cut_short_word_counts_in_part() -> None:
    assert features("Nivea Deo")["like"][1] == pytest.approx(0.8)


def test_an_empty_title_says_nothing_and_does_not_fail() -> None:
    found = features("")
    assert all(np.isfinite(values).all() for values in found.values())
    assert not any(found[name].any() for name in ("share", "all", "like", "run_1", "last"))


def test_a_synonym_counts_as_the_name_does() -> None:
    title = "Colorbar Red Nail Lacquer"
    assert features(title)["all"].tolist() == [0] * 5
    found = features(title, Nail_Polish=["nail enamel", "nail lacquer"])
    assert found["all"].tolist() == [1, 0, 0, 0, 0] and found["last"][0] == 1
    assert found["run_2"][0] > 0.98 and found["run_2"].argmax() == 0


def test_synonyms_of_one_class_lower_no_figure_of_it() -> None:
    without, found = features("Nivea Deo Polish"), features("Nivea Deo Polish", Deodorant=["lip", "wax"])
    assert all((found[name][1] >= without[name][1] - 1e-3).all() for name in NAME_MATCH_FEATURES)


def test_classes_that_are_added_later_move_no_figure() -> None:
    names = class_names(Deodorant=["body spray"])
    more = names.with_more(["Lip Balm"], ["Lip Balm"], [["nail spray"]])
    rows = np.array([0, 1])
    titles = ["Acme Nail Spray", "Red Lip Gloss"]
    before, after = (known.compare(titles).batch(rows)["name_match"].numpy() for known in (names, more))
    assert np.array_equal(after[:, : len(NAMES)], before)
    assert after[0, -1, NAME_MATCH_FEATURES.index("all")] == 1


def test_word_run_is_a_mean_and_each_word_is_embedded_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embedded: list[str] = []

    def counting(texts: list[str]) -> np.ndarray:
        embedded.extend(texts)
        return embed(texts)

    names = ClassNames(NAMES, NAMES, counting)
    titles = ["Red Nail Lip Polish", "Lip Gloss Red"]
    pairs = names.compare(titles).batch(np.array([0, 1]))["name_match"].numpy()
    runs = [["red", "nail"], ["nail", "lip"], ["lip", "polish"]]
    means = np.stack([embed(run).mean(axis=0) for run in runs])
    cosines = means / np.linalg.norm(means, axis=1, keepdims=True) @ embed(NAMES).T
    assert pairs[0, :, NAME_MATCH_FEATURES.index("run_2")] == pytest.approx(cosines.max(axis=0), abs=1e-3)
    assert sorted(embedded[2 * len(NAMES) :]) == sorted([*titles, "red", "nail", "lip", "polish", "gloss"])


def test_words_are_looked_up_as_if_each_pair_had_been_compared() -> None:
    words = NameWords(["nail polish", "sweatshirt", "shirt", "tee", "&"], np.arange(5), 5)
    for word in ("shirt", "sweatshirt", "polished", "te", "tees", "tailpolish", "x", "nailpolish"):
        found = np.zeros(len(words.words), np.float32)
        places, values = words.alike(word)
        found[places] = values
        expected = [likeness(word, name) for name in words.words]
        assert found.tolist() == pytest.approx(expected), word


GERMAN = ["Betten", "Stühle", "Sofas", "Lampen", "Bettwäsche"]


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Holzbett Oslo weiß", "Betten"), ("Bürostuhl mit Rollen", "Stühle"), ("Ecksofa grau", "Sofas"),
        ("Stehlampen aus Metall", "Lampen"), ("Kinderbettwäsche 135x200", "Bettwäsche"),
    ],
)  # fmt: skip
def test_a_german_compound_names_the_class_it_ends_in(title: str, name: str) -> None:
    names = ClassNames(GERMAN, GERMAN, embed, language="de")
    found = names.compare([title]).batch(np.array([0]))["name_match"][0].numpy()
    whole = NAME_MATCH_FEATURES.index("all")
    assert [GERMAN[n] for n in np.flatnonzero(found[:, whole])] == [name]


def test_english_compounds_stay_whole_words() -> None:
    words = NameWords(["shirt", "bags"], np.arange(2), 2)
    assert words.words_of("Sweatshirt handbags") == ["sweatshirt", "handbag"]


def test_the_first_noun_of_a_compound_is_like_its_name() -> None:
    names = ClassNames(GERMAN, GERMAN, embed, language="de")
    found = names.compare(["Bettgestell Oslo"]).batch(np.array([0]))["name_match"][0].numpy()
    values = dict(zip(NAME_MATCH_FEATURES, found[0], strict=True))
    assert values["all"] == 0 and values["like"] == pytest.approx(0.8)


def test_added_classes_are_named_in_the_same_language() -> None:
    names = ClassNames(GERMAN, GERMAN, embed, language="de").with_more(["Tische"], ["Tische"], [[]])
    found = names.compare(["Couchtisch"]).batch(np.array([0]))["name_match"][0].numpy()
    assert found[5, NAME_MATCH_FEATURES.index("all")] == 1
