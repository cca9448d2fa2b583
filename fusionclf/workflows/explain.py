"""`fusionclf explain`: one product, its answer, and what carried it."""

from pathlib import Path

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.console import Console, json_text, printable
from fusionclf.errors import PredictionError
from fusionclf.explanation import Explanation, explain
from fusionclf.prediction import load


def explain_one(
    run: Path,
    *,
    image: Path | None = None,
    title: str | None = None,
    out: Path | None = None,
    label: str | None = None,
    cells: int = 8,
    part: str | None = None,
    as_json: bool = False,
    cpu: bool = False,
) -> Explanation:
    """Explain one answer: tables or JSON to standard output, picture and JSON to `out`.

    Args:
        run: the run folder.
        image, title: of the product.
        out: folder for explanation.png and explanation.json; None for none.
        label, cells: as of `explain`.
        part: which of the run's models.
        as_json: print JSON.
        cpu: stay on the CPU.
    """
    if image is None and title is None:
        raise PredictionError("nothing to explain: give --image or --title of a product, or both")
    predictor = load(run, part=part, device="cpu" if cpu else None)
    explanation = explain(predictor, image, title, label=label, cells=cells)
    if as_json:
        print(json_text(explanation.to_json()))
    else:
        _print_tables(explanation, RichConsole(highlight=False))
    if out is not None:
        explanation.save(out)
        Console().info(f"wrote {out / 'explanation.png'} and explanation.json")
    return explanation


def _print_tables(explanation: Explanation, out: RichConsole) -> None:
    out.print(f"{escape(printable(explanation.label))}: {100 * explanation.probability:.2f} %")
    if explanation.answer != explanation.label:
        out.print(f"the most likely class is {escape(printable(explanation.answer))}")
    table = Table(box=None, pad_edge=False)
    table.add_column("left out")
    table.add_column("counted", justify="right")
    table.add_column("then answered")
    for name, said in explanation.modalities.items():
        then = "nothing" if said.label is None else f"{said.label} {100 * (said.probability or 0):.2f} %"
        table.add_row(f"the {name}", _points(said.counted), escape(printable(then)))
    for word in explanation.words:
        table.add_row(f"“{escape(printable(word.text[:60]))}”", _points(word.counted), "")
    if explanation.cells is not None:
        row, column = divmod(int(explanation.cells.argmax()), explanation.cells.shape[1])
        rows, columns = explanation.cells.shape
        where = (
            f"cell of row {row + 1} of {rows}, column {column + 1} of {columns}, the one that counted most"
        )
        table.add_row(where, _points(float(explanation.cells[row, column])), "")
    out.print(table)


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2f}"
