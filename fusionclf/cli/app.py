"""The application that all commands belong to."""

import gc
import sys
import warnings
from io import TextIOWrapper
from typing import Annotated

import typer

from fusionclf.cli.classes import classes_app
from fusionclf.cli.compare import compare_app
from fusionclf.cli.data import data_app
from fusionclf.cli.drift import drift_app
from fusionclf.cli.embed import embed_app
from fusionclf.cli.group import OneLineErrors
from fusionclf.cli.imports import import_app
from fusionclf.cli.predict import predict_app
from fusionclf.cli.serve import serve_app
from fusionclf.cli.ship import ship_app
from fusionclf.cli.study import study_app
from fusionclf.cli.suggest import suggest_app
from fusionclf.cli.train import train_app

# Under the help that `fusionclf` alone shows: what to do first.
NEXT = """Start with [bold]fusionclf demo --out demo[/]: a generated catalog, all variants, the report.

For your own catalog: [bold]fusionclf data check DIR[/]; docs/getting-started.md shows the next steps."""

app = typer.Typer(
    name="fusionclf",
    cls=OneLineErrors,
    no_args_is_help=True,
    epilog=NEXT,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


def _version(value: bool) -> None:
    if value:
        from importlib.metadata import version

        print(f"fusionclf {version('fusionclf')}")
        raise typer.Exit


@app.callback()
def root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Classify catalog products from their pictures, texts and attributes, and compare models fairly."""


# Help keeps this order.
app.add_typer(train_app)
app.add_typer(predict_app)
app.add_typer(import_app)
app.add_typer(embed_app)
app.add_typer(drift_app)
app.add_typer(compare_app)
app.add_typer(suggest_app)
app.add_typer(study_app)
app.add_typer(serve_app)
app.add_typer(data_app, name="data")
app.add_typer(classes_app, name="classes")
app.add_typer(ship_app)


def main() -> None:
    """The console script."""
    warnings.formatwarning = _one_line_warning
    if isinstance(sys.stdout, TextIOWrapper):  # standard error has this handler already
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    finally:
        gc.freeze()  # otherwise Python searches all modules for cycles before it exits: a third of a second


def _one_line_warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    from fusionclf.console import one_line

    if category is FutureWarning:  # a renamed setting: a matter of the user, not of a line of code
        return f"{one_line(f'warning: {message}')}\n"
    return f"{one_line(f'{filename}:{lineno}: {category.__name__}: {message}')}\n"
