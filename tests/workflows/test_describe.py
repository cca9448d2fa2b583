"""`fusionclf data describe` on tables that are not quite regular: what it reads, leaves out and says."""

from collections.abc import Callable, Iterable
from pathlib import Path

import pandas as pd
import pytest

from fusionclf.config.yaml_text import parse_yaml
from fusionclf.console import Console
from fusionclf.errors import CatalogError
from fusionclf.workflows.describe import data_describe

HEADER = "id,title,category"
PRODUCTS = [
    f"A-{n},{'Nord Alma Kerf Tilo Brix'.split()[n % 5]} thing no {n},{'Chairs Lamps Pans'.split()[n % 3]}"
    for n in range(60)
]
Describe = Callable[[Iterable[str]], str]


@pytest.fixture
def describe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Describe:
    """Describe a CSV file of some lines: what is printed to standard error."""

    def described(lines: Iterable[str]) -> str:
        (tmp_path / "t.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return described_file(tmp_path / "t.csv", capsys)

    return described


def described_file(file: Path, capsys: pytest.CaptureFixture[str]) -> str:
    found = data_describe(file, (), None, True, Console()).settings
    assert (found["catalog.title"], found["catalog.label"]) == ("title", "category")
    written = parse_yaml((file.parent / "catalog.yaml").read_text(encoding="utf-8"))
    assert written["catalog"]["label"] == "category"
    return capsys.readouterr().err


def test_unnamed_columns_are_left_out(describe: Describe) -> None:
    text = describe([f"{HEADER},,", *(f"{line},," for line in PRODUCTS)])
    assert "read 60 of 60 rows" in text and "warning" not in text


@pytest.mark.parametrize("sign", [";", ",", "\t"])
def test_a_first_line_may_set_the_separator(describe: Describe, sign: str) -> None:
    text = describe(line.replace(",", sign) for line in (f"sep={sign}", HEADER, *PRODUCTS))
    assert "read 60 of 60 rows" in text and "warning" not in text


def test_rows_that_do_not_fit_are_counted_and_shown(describe: Describe) -> None:
    text = describe([HEADER, *PRODUCTS, *[f"{line},x" for line in PRODUCTS], "alone"])
    assert "read 60 of 121 rows" in text
    assert (
        "warning: rows that cannot be read: too many fields: 60 rows (line 62: A-0,Nord thing no 0,Chairs,x, "
    ) in text
    assert "; too few fields: 1 row (line 122: alone); fix them" in text


def test_fields_that_join_the_title_are_no_dropped_rows(describe: Describe) -> None:
    rows = [line.split(",") for line in (HEADER, *PRODUCTS)]
    text = describe([*(f"{kind},{key},{title}" for key, title, kind in rows), "Chairs,A-99,Nord thing, blue"])
    assert "read 60 of 61 rows" in text and "warning" not in text
    assert "rows with unquoted separators in the title: 1; every other command repairs them" in text


def test_a_line_above_the_header_is_named(tmp_path: Path, describe: Describe) -> None:
    with pytest.raises(CatalogError) as caught:
        describe(["Export of 2024", HEADER, *PRODUCTS])
    assert str(caught.value).startswith(
        f"{tmp_path / 't.csv'}: no row fits the header 'Export of 2024': too many fields: 61 rows (line 2: {HEADER}, "
    )
    assert str(caught.value).endswith("; remove the lines above the header, or set catalog.delimiter")
    with pytest.raises(CatalogError, match="has no rows; a catalog needs a header and products"):
        describe([HEADER])


def test_a_column_of_pictures_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.DataFrame([line.split(",") for line in PRODUCTS], columns=HEADER.split(","))
    pictures = [{"bytes": b"\xff\xd8\xff", "path": f"{n}.jpg"} for n in range(len(table))]
    table.assign(thumbnail=b"\xff\xd8\xff", image=pictures).to_parquet(tmp_path / "t.parquet")
    text = described_file(tmp_path / "t.parquet", capsys)
    for name in ("thumbnail", "image"):
        assert (
            f"column '{name}' holds binary data, such as pictures, and is left out; write the pictures to files"
        ) in text
    table.assign(thumbnail=b"\xff")[["thumbnail"]].to_parquet(tmp_path / "t.parquet")
    with pytest.raises(CatalogError, match="has no named column of texts or numbers"):
        described_file(tmp_path / "t.parquet", capsys)
