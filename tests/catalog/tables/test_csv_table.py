"""The CSV reader: repaired rows, dropped rows and refused files."""

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusionclf.catalog.tables import Rows, joined_rows, open_table
from fusionclf.catalog.tables.csv_table import LONGEST_CELL
from fusionclf.errors import CatalogError


def read(
    tmp_path: Path, content: str | bytes, wanted: tuple[str, ...] = ("id", "title"), last: str = "title"
) -> Rows:
    file = tmp_path / "table.csv"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return joined_rows(iterate(file, wanted, last, 65_536, lenient=False))


def iterate(
    file: Path, wanted: Iterable[str], last: str, size: int, *, lenient: bool = True
) -> Iterator[Rows]:
    return open_table(file, wanted=[*wanted]).chunks([*wanted], size, last=last, lenient=lenient)


def cells(rows: Rows) -> list[tuple[str, ...]]:
    return list(rows.table.itertuples(index=False, name=None))


def test_regular_rows(tmp_path: Path) -> None:
    rows = read(tmp_path, "id,colour,title\n1,Red,One\n2,,\n3,NA,nan\n", ("title", "id", "colour"))
    assert cells(rows) == [("One", "1", "Red"), ("", "2", ""), ("nan", "3", "NA")]
    assert rows.lines.tolist() == [2, 3, 4]
    assert (rows.rows_read, rows.repaired, rows.multiline, rows.dropped) == (3, [], [], {})


@pytest.mark.parametrize(
    "content",
    ["id,title\r\n1,One\r\n2,Two\r\n", "\ufeffid,title\n1,One\n2,Two", "id,title\n\n1,One\n\n2,Two\n\n"],
)
def test_line_ends_byte_order_mark_and_empty_lines(tmp_path: Path, content: str) -> None:
    rows = read(tmp_path, content)
    assert cells(rows) == [("1", "One"), ("2", "Two")]
    assert rows.rows_read == 2


def test_unquoted_commas_in_the_last_column_are_repaired(tmp_path: Path) -> None:
    rows = read(tmp_path, 'id,colour,title\n1,Red,One, Two,Three\n2,Blue,"A, B"\n3,Red,X,\n')
    assert cells(rows) == [("1", "One, Two,Three"), ("2", "A, B"), ("3", "X,")]
    assert rows.repaired == [0, 2]


def test_rows_that_cannot_be_repaired_are_counted(tmp_path: Path) -> None:
    rows = read(tmp_path, "title,id\nOne,1\nA,B,2\nalone\nTwo,2\n")
    assert cells(rows) == [("1", "One"), ("2", "Two")]
    assert rows.dropped == {"too many fields": ["line 3: A,B,2"], "too few fields": ["line 4: alone"]}
    assert rows.rows_read == 4
    assert rows.lines.tolist() == [2, 5]


def test_line_breaks_in_quotes(tmp_path: Path) -> None:
    rows = read(tmp_path, 'id,title\n1,"A\nB"\n2,C\n')
    assert cells(rows) == [("1", "A\nB"), ("2", "C")]
    assert rows.multiline == [0]
    assert rows.lines.tolist() == [2, 4]


def test_row_with_broken_quotes_is_dropped(tmp_path: Path) -> None:
    rows = read(tmp_path, 'id,title\n1,"One" Two\n2,6" pipe\n3,Three\n')
    assert cells(rows) == [("2", '6" pipe'), ("3", "Three")]
    assert rows.dropped == {"broken quotes": ["line 2"]}


def test_an_endless_quote_is_refused_and_swallows_nothing(tmp_path: Path) -> None:
    content = 'id,title\n1,One\n2,"Two\n' + "".join(f"{n},Title\n" for n in range(3, 50))
    with pytest.raises(CatalogError, match=r"line 3 has no end .* close or remove its quotes"):
        read(tmp_path, content)


def test_long_cell_is_read_and_row_with_huge_cell_dropped(tmp_path: Path) -> None:
    long, huge = "x" * LONGEST_CELL, "x" * (LONGEST_CELL + 1)
    content = f'id,title\n1,{long}\n2,{huge}\n3,"{huge}"\n4,Four\n'
    whole = read(tmp_path, content)
    (lot,) = iterate(tmp_path / "table.csv", ["id", "title"], "title", 100)
    for rows in (whole, lot):
        assert cells(rows) == [("1", long), ("4", "Four")]
        assert rows.dropped == {"a cell of more than 1,048,576 characters": ["line 3", "line 4"]}


def test_an_endless_quote_is_refused_in_a_large_file_too(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=r"line 2 has no end \(a cell of more than 1,048,576 characters\)"):
        read(tmp_path, 'id,title\n1,"One\n' + f"2,{'x' * 1000}\n" * 1100)


@pytest.mark.parametrize(
    ("header", "why"), [('"id"x,"title"', "broken quotes"), (f"id,{'x' * 2**21}", "a cell of more")]
)
def test_unreadable_header_is_not_a_row_without_end(header: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match=rf"the header cannot be read \({why}.*\); fix its first line"):
        read(tmp_path, f"{header}\n1,One\n")


def test_a_nul_is_refused_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="line 3 holds a NUL character"):
        read(tmp_path, "id,title\n1,One\n2,T\0wo\n")


@pytest.mark.parametrize(
    "start", ["\n", "\r\n", "\n\n \n", "\ufeff\n", ",,\n", "sep=,\n", '\ufeff"SEP=,"\r\n']
)
def test_lines_before_the_header_that_name_none_are_skipped(tmp_path: Path, start: str) -> None:
    rows = read(tmp_path, f"{start}id,title\n1,One\n")
    assert cells(rows) == [("1", "One")]
    assert rows.lines.tolist() == [start.count("\n") + 2]


def test_a_header_after_empty_lines_is_still_the_header(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="line 3: the header cannot be read"):
        read(tmp_path, '\n\nid,"ti"tle\n1,One\n')


def test_a_column_in_another_case_is_the_near_match(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"no column 'sku'; did you mean 'SKU'\? columns found: SKU, title"
    ):
        read(tmp_path, "SKU,title\n1,One\n", ("sku", "title"))


def test_a_long_or_strange_header_makes_a_short_line(tmp_path: Path) -> None:
    header = ",".join(["\x1b[2Jevil", *(f"column number {n}" for n in range(5000))])
    with pytest.raises(CatalogError) as caught:
        read(tmp_path, f"{header}\n")
    message = str(caught.value).replace(str(tmp_path), "")
    assert len(message) < 330 and message.isprintable() and "5,001 in all" in message


@pytest.mark.parametrize("content", ["", "\n", "\ufeff", "\n\n  \n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(CatalogError, match="is empty"):
        read(tmp_path, content)


def test_a_header_alone_gives_no_rows(tmp_path: Path) -> None:
    rows = read(tmp_path, "id,title\n")
    assert rows.rows_read == 0
    assert list(rows.table.columns) == ["id", "title"]


def test_a_missing_column_names_those_found_and_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(
        CatalogError, match=r"no column 'title'; did you mean 'titel'\? columns found: id, titel"
    ):
        read(tmp_path, "id,titel\n1,One\n")


@pytest.mark.parametrize("sign", [";", "\t"])
def test_a_name_may_hold_another_delimiter(sign: str, tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no column 'title'"):
        read(tmp_path, f"id,a{sign}b\n1,One\n")
    assert cells(read(tmp_path, f"a{sign}b\n1\n", (f"a{sign}b",))) == [("1",)]


def test_a_wanted_column_may_not_occur_twice(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="column 'title' occurs twice"):
        read(tmp_path, "id,title,title\n1,a,b\n")
    assert cells(read(tmp_path, "id,x,x,title\n1,a,b,c\n")) == [("1", "c")]


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(CatalogError, match="no such file"):
        open_table(tmp_path)


TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8))
def test_what_a_csv_writer_wrote_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, table: list[tuple[str, ...]]
) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([("id", "colour", "title"), *table])
    file = tmp_path_factory.mktemp("rows") / "table.csv"
    file.write_bytes(buffer.getvalue().encode())
    names = ["id", "colour", "title"]
    rows = joined_rows(open_table(file, wanted=names).chunks(names, last="title"))
    assert cells(rows) == table
    assert not rows.dropped and not rows.repaired


def test_rows_in_chunks_are_those_of_the_whole_file(tmp_path: Path) -> None:
    content = 'id,title\n1,One\n2,Two, too\n3\n4,"a\nb"\n\n5,"x"y\n6,Six\n7,Seven\n'
    whole = read(tmp_path, content)
    for size in (1, 2, 3, 100):
        lots = list(iterate(tmp_path / "table.csv", ["id", "title"], "title", size))
        assert all(len(lot.table) <= size for lot in lots)
        assert [cell for lot in lots for cell in cells(lot)] == cells(whole)
        assert [line for lot in lots for line in lot.lines.tolist()] == whole.lines.tolist()
        for noted in ("repaired", "multiline"):  # positions are those within a lot
            ids = [lot.table["id"].iloc[place] for lot in lots for place in getattr(lot, noted)]
            assert ids == whole.table["id"].iloc[getattr(whole, noted)].tolist() != []
        assert [lot.dropped[why] for why in whole.dropped for lot in lots if why in lot.dropped] == [
            *whole.dropped.values()
        ]


def test_rows_in_chunks_drop_rows_that_are_not_text(tmp_path: Path) -> None:
    file = tmp_path / "table.csv"
    content = b"id,colour,title\n1,red,One\n2,red,caf\xe9\n3,r\xe9d,Three\n4,red,Fo\0ur\n5,red,Five\n"
    file.write_bytes(content + "6,grün,Größe\n7,grün,Über\n".encode())
    (lot,) = iterate(file, ["id", "title"], "title", 100)
    assert cells(lot) == [  # nobody reads the colour
        ("1", "One"), ("3", "Three"), ("5", "Five"), ("6", "Größe"), ("7", "Über"),
    ]  # fmt: skip
    assert {why: [text.partition(":")[0] for text in texts] for why, texts in lot.dropped.items()} == {
        "bytes that are not UTF-8": ["line 3"],
        "a NUL character": ["line 5"],
    }
    with pytest.raises(CatalogError, match="has no end"):
        file.write_text('id,title\n1,"open\n2,Two\n')
        list(iterate(file, ["id", "title"], "title", 100))
