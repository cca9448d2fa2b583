"""What is guessed about columns that list several labels."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fusionclf.catalog.describing import describe_table, yaml_text
from fusionclf.catalog.describing.list_guess import list_column
from fusionclf.catalog.describing.profile import Profile

TAGS = ("red", "green", "blue", "dress", "shirt", "party", "office")


def described(
    folder: Path, cells: list[str], header: str, pinned: dict[str, Any] | None = None, **more: Any
) -> Any:
    names = [f"Nord {'Alma Kerf Tilo Brix Sola'.split()[n % 5]} thing number {n}" for n in range(len(cells))]
    table = pd.DataFrame({"id": [f"A-{n}" for n in range(len(cells))], "name": names, header: cells} | more)
    return describe_table(table.astype("str"), folder, "table.csv", pinned)


def tagged(sign: str, count: int = 240) -> list[str]:
    generator = np.random.default_rng(0)
    drawn = [
        sorted(generator.choice(TAGS, generator.integers(1, 4), replace=False).tolist()) for _ in range(count)
    ]
    return [json.dumps(own) if sign == "json" else sign.join(own) for own in drawn]


@pytest.mark.parametrize("sign", ["json", "|", ";", ","])
def test_sign_between_labels_is_found(tmp_path: Path, sign: str) -> None:
    found = described(tmp_path, tagged(sign), "categories")
    assert found.settings["catalog.label"] == "categories"
    assert found.settings["catalog.label_list"] == sign
    assert found.settings["catalog.categories"] == ()
    assert "label_list" in yaml_text(found)


def test_list_is_found_where_the_label_is_given(tmp_path: Path) -> None:
    found = described(tmp_path, tagged("|"), "tags", {"catalog.label": "tags"})
    assert found.settings["catalog.label_list"] == "|"


def test_list_beside_a_class_is_mentioned(tmp_path: Path) -> None:
    kinds = [("Chairs", "Lamps", "Pans")[n % 3] for n in range(240)]
    found = described(tmp_path, tagged("|"), "categories", product_type=kinds)
    assert found.settings["catalog.label"] == "product_type" and "catalog.label_list" not in found.settings
    assert any("'categories' holds lists: 7 labels" in doubt for doubt in found.doubts)


def test_paths_stay_paths(tmp_path: Path) -> None:
    cells = [("Home|Chairs", "Home|Lamps", "Garden|Pots", "Garden|Hoses")[n % 4] for n in range(240)]
    found = described(tmp_path, cells, "category")
    assert found.settings["catalog.label_separator"] == "|" and "catalog.label_list" not in found.settings


def test_sentences_are_no_lists() -> None:
    cells = [
        f"made to last, easy to clean number {n}, a gift for friends and their {n} cats" for n in range(200)
    ]
    assert list_column(Profile("text", 0, pd.Series(cells))) is None
