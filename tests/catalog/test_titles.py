import pytest

from fusionclf.catalog.titles import first_word, has_title, have_titles, split_words


@pytest.mark.parametrize(("title", "there"), [("Shirt", True), ("", False), (" \t\n\u00a0", False)])
def test_blank_title_is_none(title, there):
    assert has_title(title) is there
    assert have_titles([title]).tolist() == [there]


def test_no_titles_give_empty_mask():
    assert have_titles([]).dtype == bool


def test_words_are_lower_case_runs_of_word_characters():
    assert split_words("Été T-Shirt_2, 50%") == ["été", "t", "shirt_2", "50"]


@pytest.mark.parametrize(("title", "word"), [("Nordvik Men", "nordvik"), (" -- ", ""), ("", "")])
def test_first_word_is_empty_without_words(title, word):
    assert first_word(title) == word
