"""One rule for what holds no value, wherever it comes from."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog.missing import cell_text, is_missing
from tests.catalog.conftest import MakeCatalog

WORDS = ["nan", "NaN", "None", "null", "NULL", "N/A", "n/a", "<NA>", "#N/A", " nan "]


@pytest.mark.parametrize(
    "value", [None, float("nan"), np.float32("nan"), pd.NA, pd.NaT, np.datetime64("NaT"), "", "  ", *WORDS]
)
def test_values_that_are_missing(value: Any) -> None:
    assert is_missing(value)


@pytest.mark.parametrize("value", ["NA", "na", "Nan Bread", "none", "0", 0, 0.0, False, [], [None], "nulls"])
def test_values_that_are_not_missing(value: Any) -> None:
    assert not is_missing(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (" a ", " a "), (1000, "1000"), (1000.0, "1000"), (-2.0, "-2"), (1.5, "1.5"),
     (2**63 + 1, "9223372036854775809"), (True, "true"), (False, "false"), (None, ""), (float("nan"), ""),
     ("NaN", ""), (1e300, "1e+300"), (float("inf"), "inf")],
)  # fmt: skip
def test_a_value_has_one_text_in_every_format(value: Any, text: str) -> None:
    assert cell_text(value) == text


@pytest.mark.parametrize("word", WORDS)
def test_words_for_a_missing_value_are_no_class_and_no_title(make_catalog: MakeCatalog, word: str) -> None:
    rows = [
        {"articleType": word},
        {"productDisplayName": word, "subCategory": word, "usage": word, "year": word},
        {"productDisplayName": "NA", "baseColour": "NA"},
    ]
    catalog = make_catalog(rows)
    assert catalog.classes == ("Shirts",)
    assert catalog.read_report.dropped == {"no label": ["1"]}
    assert catalog.table["id"].tolist() == ["2", "3"]
    assert catalog.has_title.tolist() == [False, True]
    assert catalog.table[["title", "subCategory", "usage"]].iloc[0].tolist() == ["", "", ""]
    assert catalog.table["baseColour"].tolist() == ["Blue", "NA"]
    assert catalog.read_report.bad_years == [] and catalog.table["year"].isna().tolist() == [True, False]


def test_missing_value_words_are_counted_with_three_examples(make_catalog: MakeCatalog) -> None:
    rows = [{"articleType": "nan"}, *[{"productDisplayName": "<NA>"}] * 4, {"usage": "N/A"}, {"season": ""}]
    found = make_catalog(rows).read_report.missing_words
    assert {name: cells.count for name, cells in found.items()} == {
        "articleType": 1,
        "productDisplayName": 4,
        "usage": 1,
    }
    assert found["productDisplayName"].examples == ["line 3: '<NA>'", "line 4: '<NA>'", "line 5: '<NA>'"]
