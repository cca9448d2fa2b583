"""`fusionclf classes`: list, add and remove the classes of a trained run; draft synonyms."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.group import Commands
from fusionclf.cli.options import Columns, CpuOption, PartOption
from fusionclf.cli.options_class import takes
from fusionclf.errors import PredictionError

classes_app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="List the classes of a run, add new ones without training, and draft synonyms.",
)

RunFolder = Annotated[Path, typer.Option("--run", "--run-folder", help="Run folder.", show_default=False)]
NameOption = Annotated[
    str, typer.Option("--name", help="Name, Category > Name, or Name | synonym.", show_default=False)
]


@dataclass(frozen=True, kw_only=True)
class AddOptions:
    """Options of `classes add`."""

    run: RunFolder
    name: Annotated[
        str | None,
        typer.Option("--name", help="Name, Category > Name, or Name | synonym.", show_default=False),
    ] = None
    file: Annotated[
        Path | None,
        typer.Option(
            "--file", help="Text file of classes, one per line, or a taxonomy of Google or Shopify."
        ),
    ] = None
    examples: Annotated[
        Path | None,
        typer.Option(
            "--examples", help="Products of the class: CSV, Parquet, JSON lines, or a folder of pictures."
        ),
    ] = None
    pictures: Annotated[
        Path | None,
        typer.Option("--pictures", help="Folder of the examples' pictures; default: that of --examples."),
    ] = None
    overrides: Columns = None
    part: PartOption = None
    cpu: CpuOption = False


@classes_app.command(name="add")
@takes(AddOptions)
def add_command(options: AddOptions) -> None:
    """Add a class to a run by its name and, if there are any, examples, or all classes of a file; without training.

    Example: fusionclf classes add --run runs/fusion --name "Accessories > Belts > Cummerbund" --examples few.csv
    """
    from fusionclf.prediction import RunModel
    from fusionclf.workflows.classes import add_class, add_listed

    if (options.name is None) == (options.file is None):
        raise PredictionError(
            "missing --name or --file (give one: a class, or a file of classes); see fusionclf classes add --help"
        )
    model = RunModel(options.run, options.part, options.cpu)
    if options.name is not None:
        add_class(
            model, options.name, examples=options.examples, pictures=options.pictures,
            overrides=tuple(options.overrides or ()),
        )  # fmt: skip
        return
    assert options.file is not None
    if options.examples is not None or options.pictures is not None or options.overrides:
        raise PredictionError(
            "--file: cannot have --examples, --pictures or column settings; leave them out, or add one class by --name"
        )
    add_listed(model, options.file)


@dataclass(frozen=True, kw_only=True)
class SynonymOptions:
    """Options of `classes synonyms`."""

    data: Annotated[
        Path | None,
        typer.Option("--data", help="Draft for the classes of this catalog: its folder, or its table."),
    ] = None
    run: Annotated[
        Path | None,
        typer.Option("--run", "--run-folder", help="Draft for the classes of this run, from its catalog."),
    ] = None
    classes: Annotated[
        Path | None,
        typer.Option(
            "--classes", help="Draft for the classes of this text file: one per line, or a taxonomy."
        ),
    ] = None
    overrides: Columns = None
    out: Annotated[Path, typer.Option("--out", help="File to write.")] = Path("synonyms.yaml")
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False
    endpoint: Annotated[
        str | None,
        typer.Option(
            "--endpoint",
            metavar="URL",
            help="Also use a language model: base URL of a server with an OpenAI-compatible API.",
        ),
    ] = None
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", help="The endpoint's model.")] = None
    key_variable: Annotated[
        str, typer.Option("--key-variable", help="Environment variable that holds the endpoint's key.")
    ] = "OPENAI_API_KEY"


@classes_app.command(name="synonyms")
@takes(SynonymOptions)
def synonyms_command(options: SynonymOptions) -> None:
    """Draft synonyms of classes for review, from class names, WordNet, train titles and, if you like, a language model.

    Example: fusionclf classes synonyms --data data/fashion-small --out synonyms.yaml
    """
    from fusionclf.catalog.drafting import Endpoint
    from fusionclf.workflows.synonyms import ClassSource, draft_file, key_of

    if (options.endpoint is None) != (options.model is None):
        given, missing = ("--endpoint", "--model") if options.model is None else ("--model", "--endpoint")
        raise PredictionError(f"{given}: needs {missing}, too; give both, or none")
    endpoint = None
    if options.endpoint is not None and options.model is not None:
        endpoint = Endpoint(options.endpoint, options.model, key_of(options.key_variable))
    source = ClassSource(
        data=options.data, run=options.run, classes=options.classes, overrides=tuple(options.overrides or ())
    )
    draft_file(source, options.out, endpoint=endpoint, overwrite=options.overwrite)


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
