"""`fusionclf classes`: list, add and remove the classes of a trained run."""

from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.group import Commands
from fusionclf.cli.options import Columns, CpuOption, PartOption
from fusionclf.errors import PredictionError

classes_app = typer.Typer(
    cls=Commands, no_args_is_help=True, help="List the classes of a run, and add new ones without training."
)

RunFolder = Annotated[Path, typer.Option("--run", "--run-folder", help="Run folder.", show_default=False)]
NameOption = Annotated[
    str, typer.Option("--name", help="Name, Category > Name, or Name | synonym.", show_default=False)
]


@classes_app.command(name="add")
def add_command(
    run: RunFolder,
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name, Category > Name, or Name | synonym.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="Many classes, one per line, or a taxonomy as Google or Shopify publish theirs."
        ),
    ] = None,
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples", help="Products of the class: CSV, Parquet, JSON lines, or a folder of pictures."
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder of the examples' pictures; default: the file's.")
    ] = None,
    overrides: Columns = None,
    part: PartOption = None,
    cpu: CpuOption = False,
) -> None:
    """Add a class that the run never saw, by its name and a few examples, without training; or all classes of a file.

    Example: fusionclf classes add --run runs/fusion --name "Accessories > Belts > Cummerbund" --examples few.csv
    """
    from fusionclf.prediction import RunModel
    from fusionclf.workflows.classes import add_class, add_listed

    model = RunModel(run, part, cpu)
    if (name is None) == (file is None):
        raise PredictionError("give either --name NAME or --file FILE")
    if file is not None:
        if examples is not None or pictures is not None or overrides:
            raise PredictionError(
                "--file: its classes have no examples; leave --examples out, or add a class by --name"
            )
        add_listed(model, file)
        return
    assert name is not None
    add_class(model, name, examples=examples, pictures=pictures, overrides=tuple(overrides or ()))


@classes_app.command(name="remove")
def remove_command(run: RunFolder, name: NameOption, part: PartOption = None) -> None:
    """Remove a class that was added.

    Example: fusionclf classes remove --run runs/fusion --name Cummerbund
    """
    from fusionclf.workflows.classes import remove_class

    remove_class(run, name, part=part)


@classes_app.command(name="list")
def list_command(run: RunFolder, part: PartOption = None) -> None:
    """List the classes of a run, and whether each is known by training rows, examples or its name.

    Example: fusionclf classes list --run runs/fusion
    """
    from fusionclf.workflows.classes import list_classes

    list_classes(run, part=part)
