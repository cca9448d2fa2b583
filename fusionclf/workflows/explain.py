"""`fusionclf explain`: one product, its predicted class, and how much each part of the input contributed."""

from pathlib import Path

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.console import Console, json_text, printable
from fusionclf.errors import PredictionError
from fusionclf.explanation import Explanation, explain
from fusionclf.prediction import RunModel
from fusionclf.prediction.io.products import Product


def explain_one(
    model: RunModel,
    product: Product[Path],
    *,
    out: Path | None = None,
    label: str | None = None,
    cells: int = 8,
    as_json: bool = False,
) -> Explanation:
    """Explain one prediction: tables or JSON to standard output, picture and JSON to `out`.

    Args:
        model: one of a run's models.
        product: what is known of it.
        out: folder for explanation.png and explanation.json; None writes no files.
        label, cells: as in `explain`.
        as_json: print JSON.
    """
    if not product:
        raise PredictionError("nothing to explain: give --image or --title of a product, or both")
    explanation = explain(
        model.load(), product.images, product.title, product.fields, label=label, cells=cells
    )
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
    table.add_column("drop", justify="right")
    table.add_column("class without it")
    for name, without in (explanation.modalities | explanation.fields).items():
        then = (
            "nothing"
            if without.label is None
            else f"{without.label} {100 * (without.probability or 0):.2f} %"
        )
        table.add_row(f"the {escape(printable(name))}", _points(without.drop), escape(printable(then)))
    for number, drop in enumerate(explanation.pictures, start=1):
        table.add_row(f"picture {number}", _points(drop), "")
    for word in explanation.words:
        table.add_row(f"“{escape(printable(word.text[:60]))}”", _points(word.drop), "")
    if explanation.cells is not None:
        row, column = divmod(int(explanation.cells.argmax()), explanation.cells.shape[1])
        rows, columns = explanation.cells.shape
        of = f"picture {explanation.shown + 1}, " if explanation.pictures else ""
        where = f"{of}cell of row {row + 1} of {rows}, column {column + 1} of {columns}, the largest drop of all cells"
        table.add_row(where, _points(float(explanation.cells[row, column])), "")
    out.print(table)


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2f}"
