"""Formats of text from outside and of numbers."""

import pytest

from fusionclf.report.text import code, count, duration, markdown, p_value, percent, rows_range, signed


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a|b", r"a\|b"),
        ("`rm`", r"\`rm\`"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("one\ntwo\r\n| three\u2028four\x00", r"one two \| three four"),
        ("[x](y) **z** _w_ ~~v~~", r"\[x\](y) \*\*z\*\* \_w\_ \~\~v\~\~"),
        ("back\\|slash", "back\\\\\\|slash"),
    ],
)
def test_markdown_escapes(given: str, shown: str) -> None:
    assert markdown(given) == shown


def test_code_cannot_leave_its_block() -> None:
    assert code("a\n```\n# b") == "a ''' # b"


def test_numbers() -> None:
    assert percent(None) == signed(None) == count(None) == duration(None) == "\N{EN DASH}"
    assert percent(85.2290783898305) == "85.23"
    assert (signed(0.333), signed(-0.333)) == ("+0.33", "\N{MINUS SIGN}0.33")
    assert (p_value(0.04999), p_value(0.0009999)) == ("0.050", "< 0.001")
    assert count(1234567.8) == "1,234,568"


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (31.2, "31 s"), (2400, "40.0 min"), (7200, "2.0 h")]
)
def test_durations(seconds: float, shown: str) -> None:
    assert duration(seconds) == shown


@pytest.mark.parametrize(
    ("first", "last", "shown"), [(0, 0, "0"), (5, 19, "5\N{EN DASH}19"), (1000, None, "1000+")]
)
def test_ranges_of_training_rows(first: int, last: int | None, shown: str) -> None:
    assert rows_range(first, last) == shown
