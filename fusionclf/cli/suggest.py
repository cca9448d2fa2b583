"""`fusionclf suggest`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import Columns, CpuOption, PartOption, RunOption
from fusionclf.cli.options_class import takes

suggest_app = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class SuggestOptions:
    """Options of `suggest`."""

    run: RunOption
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            help="CSV, Parquet or JSON lines, or a folder of pictures; products with a label are skipped.",
            show_default=False,
        ),
    ]
    out: Annotated[Path, typer.Option("--out", help="Folder for the files to fill in.", show_default=False)]
    overrides: Columns = None
    count: Annotated[int, typer.Option("--count", min=1, help="Number of products to suggest.")] = 100
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder of the pictures; default: the input's.")
    ] = None
    part: PartOption = None
    cpu: CpuOption = False


@suggest_app.command(name="suggest")
@takes(SuggestOptions)
def suggest_command(options: SuggestOptions) -> None:
    """Suggest which products to label next: those that the run is least certain of and that differ from each other.

    Label the products in corrections.csv, or in Label Studio with label-studio.json and label-studio.xml; then run
    `fusionclf data apply`.

    Example: fusionclf suggest --run runs/linear --input data/shop/products.csv --out to-label --count 200
    """
    from fusionclf.console import Console
    from fusionclf.prediction import RunModel
    from fusionclf.workflows.suggest import SuggestRequest, suggest

    model = RunModel(options.run, options.part, options.cpu)
    request = SuggestRequest(
        model, options.source, options.out, options.count, options.pictures, tuple(options.overrides or ())
    )
    suggest(request, Console())
