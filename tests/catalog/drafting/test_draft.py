"""Drafted synonyms: who gets which name, and the file."""

from pathlib import Path

import pytest

from fusionclf.catalog import read_synonyms
from fusionclf.catalog.drafting import Synonym, SynonymDraft, TrainTitles, draft_synonyms
from fusionclf.catalog.drafting.lexicon import Lexicon
from tests.small_lexicon import write_lexicon

NOTHING = TrainTitles()
JEWELS: dict[str, str] = dict.fromkeys(("Ring", "Necklace", "Shirts"), "Things")


@pytest.fixture
def lexicon(tmp_path: Path) -> Lexicon:
    return Lexicon(write_lexicon(tmp_path / "data"))


def test_nouns_and_kinds_of_a_meaning_are_drafted(lexicon: Lexicon) -> None:
    draft = draft_synonyms(JEWELS, NOTHING, lexicon)
    assert draft.synonyms["Ring"] == (
        Synonym("band", "WordNet"),
        Synonym("signet ring", "WordNet: a kind of ring"),
        Synonym("seal", "WordNet: a kind of ring"),
    )
    assert draft.names["Necklace"] == ("choker",)


def test_a_name_is_that_of_the_nearer_class(lexicon: Lexicon) -> None:
    names = draft_synonyms({**JEWELS, "Tshirts": "Things"}, NOTHING, lexicon).names
    assert "t-shirt" not in names["Shirts"] and "polo shirt" not in names["Tshirts"]
    assert "t-shirt" in draft_synonyms(JEWELS, NOTHING, lexicon).names["Shirts"]


def test_a_name_that_two_classes_share_is_of_none(lexicon: Lexicon) -> None:
    names = draft_synonyms({"Bangle": "J", "Bracelet": "J"}, NOTHING, lexicon).names
    assert names == {"Bangle": (), "Bracelet": ()}


def test_a_kind_named_after_another_class_is_left_out(lexicon: Lexicon) -> None:
    assert "tank top" in draft_synonyms({"Shirts": "T"}, NOTHING, lexicon).names["Shirts"]
    assert "tank top" not in draft_synonyms({"Shirts": "T", "Tops": "T"}, NOTHING, lexicon).names["Shirts"]


def test_a_kind_that_goes_with_another_class_is_left_out(lexicon: Lexicon) -> None:
    others = ["Acme white dial"] * 20 + ["Acme shirt"] * 20 + ["Gold ring"] * 20
    trained = TrainTitles(others, ["Watches"] * 20 + ["Shirts"] * 20 + ["Ring"] * 20)
    families = {**JEWELS, "Watches": "Things"}
    assert "white" in draft_synonyms(families, NOTHING, lexicon).names["Shirts"]
    assert "white" not in draft_synonyms(families, trained, lexicon).names["Shirts"]


def test_own_titles_do_not_change_the_draft(lexicon: Lexicon) -> None:
    others = TrainTitles(["Acme white dial"] * 9 + ["Acme ring"] * 30, ["Watches"] * 9 + ["Ring"] * 30)
    own = TrainTitles([*others.titles, *["white polo shirt"] * 99], [*others.labels, *["Shirts"] * 99])
    families = {**JEWELS, "Watches": "Things"}
    assert (
        draft_synonyms(families, own, lexicon).names["Shirts"]
        == draft_synonyms(families, others, lexicon).names["Shirts"]
    )


def test_kinds_that_a_name_joins_need_no_lexicon() -> None:
    draft = draft_synonyms({"Perfume & Body Mist": "Fragrance", "Perfumes": "Fragrance"}, NOTHING, None)
    assert draft.names == {"Perfume & Body Mist": ("body mist", "perfume mist"), "Perfumes": ()}
    assert "fusionclf[synonyms]" in draft.summary and "2 names drafted for 1 of 2 classes" in draft.summary


def test_a_frequent_word_of_another_class_is_no_part() -> None:
    trained = TrainTitles(
        ["Gold pendant with chain"] * 9 + ["Blue dial"] * 30, ["Pendant"] * 9 + ["Watches"] * 30
    )
    families: dict[str, str] = dict.fromkeys(("Necklaces and Chains", "Pendant", "Watches"), "Jewellery")
    assert draft_synonyms(families, trained, None).names["Necklaces and Chains"] == ("necklace",)


def test_the_file_holds_sources_and_reads_back(lexicon: Lexicon, tmp_path: Path) -> None:
    odd = {
        "Ring": "A",
        "Necklace": "A",
        "Null": "B",
        "null": "B",
        "No: 1 # [x]": "C",
        "Größe 38": "D",
        "- a": "E",
        "Men > Shirts": "F",
    }
    suggested = [
        ("No: 1 # [x]", Synonym("yes: {no}", "language model tiny")),
        ("null", Synonym("~", "by hand")),
    ]
    draft = draft_synonyms(odd, NOTHING, lexicon, suggested)
    text = draft.to_yaml()
    (tmp_path / "draft.yaml").write_text(text, encoding="utf-8")
    assert read_synonyms(tmp_path / "draft.yaml") == draft.names
    assert draft.names["No: 1 # [x]"] == ("yes: {no}",) and "polo shirt" in draft.names["Men > Shirts"]
    assert "  - signet ring  # WordNet: a kind of ring\n" in text


def test_terms_of_own_titles_are_comments(tmp_path: Path) -> None:
    trained = TrainTitles(["Catwalk Black Wedges"] * 6 + ["Acme Belt"] * 9, ["Heels"] * 6 + ["Belts"] * 9)
    draft = draft_synonyms({"Heels": "Shoes", "Belts": "Belts"}, trained, None, with_terms=True)
    assert "Heels: []\n  # - wedge  # titles: 6 of 6 train rows\n" in draft.to_yaml()
    (tmp_path / "draft.yaml").write_text(draft.to_yaml(), encoding="utf-8")
    assert read_synonyms(tmp_path / "draft.yaml") == {"Heels": (), "Belts": ()}


def test_a_draft_of_many_classes_stays_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fusionclf.catalog.drafting.draft.MOST_LINES", 100)
    draft = draft_synonyms({f"Alpha{n} and Beta{n} and Gamma{n}": "All" for n in range(60)}, NOTHING, None)
    assert draft.most == 1 and "at most 1 for each" in draft.summary
    assert all(len(own) == 1 for own in draft.names.values())


def test_an_empty_draft_is_a_file() -> None:
    assert SynonymDraft({}, True).summary == "synonyms: 0 names drafted for 0 of 0 classes"
