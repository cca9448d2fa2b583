"""`fusionclf drift`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import Columns, CpuOption, PartOption, RunOption
from fusionclf.cli.options_class import takes

drift_app = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class DriftOptions:
    """Options of `drift`."""

    run: RunOption
    source: Annotated[
        Path,
        typer.Option(
            "--input",
            help="New products: CSV, Parquet, JSON lines, or a folder of pictures.",
            show_default=False,
        ),
    ]
    out: Annotated[Path | None, typer.Option("--out", help="Folder for drift.html and drift.json.")] = None
    overrides: Columns = None
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder of the pictures; default: the input's.")
    ] = None
    part: PartOption = None
    threshold: Annotated[
        float, typer.Option("--threshold", help="Smallest difference that counts, between 0 and 1.")
    ] = 0.1
    rows: Annotated[
        int, typer.Option("--rows", min=1, help="Largest number of products to compare, sampled at random.")
    ] = 10_000
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The run's catalog, if it was moved; only runs without the folder inputs need it."
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print drift.json's content.")] = False
    cpu: CpuOption = False


@drift_app.command(name="drift")
@takes(DriftOptions)
def drift_command(options: DriftOptions) -> None:
    """Compare new products with a run's test products: predicted classes, confidence, words, pictures, missing inputs.

    Exit code 0: no drift, 1: drift, 2: the run or the input cannot be used.

    Example: fusionclf drift --run runs/fusion --input new.csv --out drift
    """
    from fusionclf.prediction import RunModel
    from fusionclf.workflows.drift import DriftRequest, drift

    request = DriftRequest(
        RunModel(options.run, options.part, options.cpu), options.source, options.out, options.pictures,
        tuple(options.overrides or ()), options.threshold, options.rows, options.data,
    )  # fmt: skip
    if drift(request, as_json=options.as_json)["drifted"]:
        raise typer.Exit(1)
