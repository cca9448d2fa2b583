"""The language of texts is named, and an encoder that does not know it gives a warning with the remedy."""

import pytest

from fusionclf.catalog import check_catalog
from fusionclf.catalog.languages import (
    TextLanguages,
    catalog_languages,
    find_languages,
    known_languages,
    language_warning,
    main_language,
    sampled_texts,
)
from fusionclf.errors import CatalogError
from tests.catalog.conftest import MakeCatalog

GERMAN = (
    "Bürostuhl mit Rollen, höhenverstellbar",
    "Bettwäsche aus Baumwolle",
    "Stehlampe für das Wohnzimmer",
)
FRENCH = ("Chaise de bureau à roulettes", "Parure de lit en coton", "Lampadaire pour le salon")
ENGLISH = (
    "Office chair with wheels, adjustable",
    "Bed linen made of cotton",
    "Floor lamp for the living room",
)
JAPANESE = ("木製のベッド、白色", "寝室用のランプ", "高さ調節ができる椅子")


def titled(make_catalog: MakeCatalog, titles: tuple[str, ...], rows: int = 60):
    return make_catalog([{"productDisplayName": f"{titles[n % len(titles)]} {n}"} for n in range(rows)])


@pytest.mark.parametrize(
    ("titles", "code"), [(GERMAN, "de"), (FRENCH, "fr"), (ENGLISH, "en"), (JAPANESE, "ja")]
)
def test_titles_are_of_one_language(make_catalog: MakeCatalog, titles: tuple[str, ...], code: str) -> None:
    catalog = titled(make_catalog, titles)
    assert catalog_languages(catalog)["title"].shares == {code: 1.0}
    assert main_language(catalog) == code


def test_two_languages_are_named_with_their_shares() -> None:
    found = find_languages([GERMAN, FRENCH, GERMAN, GERMAN])
    assert str(found) == "German (75%), French (25%)"


def test_texts_without_letters_have_no_known_language() -> None:
    found = find_languages([["12-34", "5678"]])
    assert str(found) == "not known: too few letters"
    assert find_languages([[], []]) is None


def test_few_rows_of_a_large_catalog_are_read() -> None:
    blocks = sampled_texts([f"Chair {n}" for n in range(100_000)])
    assert [len(block) for block in blocks] == [20] * 20
    assert blocks[-1][0] == "Chair 95000"


def test_an_english_encoder_is_named_with_the_remedy() -> None:
    french = {"title": TextLanguages({"fr": 1.0}, 20)}
    warning = language_warning(french, "sentence-transformers/all-MiniLM-L6-v2")
    assert warning is not None and "L6-v2 does not know" in warning and "(title: French)" in warning
    assert "set model.text.model=offline-multilingual" in warning


@pytest.mark.parametrize("encoder", ["my/folder", "intfloat/multilingual-e5-small"])
def test_other_encoders_are_not_warned_of(encoder: str) -> None:
    assert known_languages(encoder) is None
    assert language_warning({"title": TextLanguages({"fr": 1.0}, 20)}, encoder) is None


def test_the_remedy_is_an_encoder_that_knows_the_language() -> None:
    assert language_warning({"title": TextLanguages({"fr": 1.0}, 20)}, "offline-multilingual") is None
    for encoder in ("offline", "offline-multilingual"):
        warning = language_warning({"title": TextLanguages({"sv": 1.0}, 20)}, encoder)
        assert warning is not None and "to a sentence encoder that knows it" in warning


def test_the_check_names_languages_where_asked(make_catalog: MakeCatalog) -> None:
    catalog = titled(make_catalog, FRENCH)
    split = CatalogError("no split")
    found = check_catalog(catalog, split, decode=False, encoder="offline")
    assert found.to_dict()["languages"]["title"] == {"shares": {"fr": 1.0}, "samples": 3}
    assert found.unknown_language is not None
    assert check_catalog(catalog, split, decode=False).languages == {}
