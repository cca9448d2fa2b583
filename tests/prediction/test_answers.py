"""From probabilities to a file: the most likely classes, and cells of CSV files."""

import csv
import io

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fusionclf.prediction import DecisionRule
from fusionclf.prediction.answers import InputStatus, decide
from fusionclf.prediction.io.writers import DIGITS, FORMATS, _number_cells
from fusionclf.runfolder import guarded

TEXT = st.text(st.characters(exclude_categories=("Cs",)) | st.sampled_from("=+-@\t\r\n,\"' .a1"), max_size=6)


def test_a_product_without_an_answer_names_no_class() -> None:
    table = np.array([[0.25, 0.75], [np.nan, np.nan]])
    status = InputStatus(["used"] * 2, ["used"] * 2, ["", "no title"])
    found = decide(table, ["A", "B"], {"B": ["Top"]}, DecisionRule(), status)
    assert (found.labels, found.paths) == ([["B", "A"], []], [("Top",), ()])
    assert (found.answered, found.decisions) == ([("Top", "B"), ()], ["accept", "none"])
    assert (found.probabilities[0].tolist(), found.reasons) == ([0.75, 0.25], ["", "no title"])


def test_probabilities_are_written_as_python_rounds_them() -> None:
    numbers = np.round(np.arange(10**DIGITS + 1) / 10**DIGITS, DIGITS)
    assert _number_cells(numbers).to_pylist() == [repr(number) for number in numbers.tolist()]


@example(
    [(text, 0.5) for text in ("-a", "-2", "-2+3", "=1", 'a"b', "a,b", "a\nb", "a\rb", "", "é")], "-A", "=B"
)
@given(st.lists(st.tuples(TEXT, st.floats(0, 1)), max_size=12), TEXT.filter(len), TEXT)
def test_a_csv_file_is_what_a_csv_writer_writes(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, float]], first: str, second: str
) -> None:
    """Every text is guarded, every number rounded, and what a CSV file must quote is quoted."""
    ids = [product for product, _ in rows]
    table = np.array([[sure, 1 - sure] for _, sure in rows]).reshape(-1, 2)
    names = [first, f"{second}|"]
    used = ["used"] * len(ids)
    answers = decide(table, names, {}, DecisionRule(), InputStatus(used, used, [""] * len(ids)))
    file = tmp_path_factory.mktemp("csv") / "answers.csv"
    FORMATS["csv"].write(file, ids, answers)
    expected = io.StringIO()
    writer = csv.writer(expected, lineterminator="\n")
    writer.writerow(["id", *answers.columns()])
    columns = [column.to_pylist() for column in answers.columns().values()]
    for place, values in enumerate(zip(ids, *columns, strict=True)):
        cells = [guarded(value) if isinstance(value, str) else float(np.round(value, 6)) for value in values]
        assert cells[0] == guarded(ids[place])
        writer.writerow(cells)
    assert file.read_bytes() == expected.getvalue().encode()
