"""A command whose options are the fields of a dataclass."""

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from fusionclf.cli.options_class import takes


@dataclass(frozen=True, kw_only=True)
class PaintOptions:
    colour: Annotated[str, typer.Argument(help="Its name.")]
    layers: Annotated[int, typer.Option("--layers", min=1, help="Number of layers.")] = 2
    rooms: Annotated[list[str] | None, typer.Option("--room", help="A room.")] = None
    dry: Annotated[bool, typer.Option("--dry")] = False


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()

    @app.command()
    @takes(PaintOptions)
    def paint(options: PaintOptions) -> None:
        """Paint some rooms."""
        print(options)

    return app


def test_a_command_gets_one_instance_of_its_options(app: typer.Typer) -> None:
    found = CliRunner().invoke(app, ["red", "--room", "kitchen", "--room", "hall", "--dry"])
    assert found.output.strip() == str(PaintOptions(colour="red", rooms=["kitchen", "hall"], dry=True))


def test_help_shows_the_fields_in_their_order(app: typer.Typer) -> None:
    printed = CliRunner().invoke(app, ["--help"]).output
    places = [
        printed.index(text) for text in ("Paint some", "Its name.", "--layers", "Number", "--room", "--dry")
    ]
    assert places == sorted(places) and "[default: 2]" in printed


def test_bad_and_missing_values_are_refused(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["red", "--layers", "0"]).exit_code == 2
    assert CliRunner().invoke(app, []).exit_code == 2
