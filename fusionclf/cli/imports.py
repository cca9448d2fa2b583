"""`fusionclf import`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import ConfigOption, DataOption, DataOverrides, NewRunOption, OverwriteOption
from fusionclf.cli.options_class import takes

import_app = typer.Typer()


class OtherProducts(StrEnum):
    """What `import` does with products that are not test products."""

    refuse = "refuse"
    ignore = "ignore"
    held_out = "held-out"


@dataclass(frozen=True, kw_only=True)
class ImportOptions:
    """Options of `import`."""

    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="CSV, Parquet or JSON lines: id, and label; or label_1, prob_1, …; or one column per class.",
            show_default=False,
        ),
    ]
    data: DataOption
    name: Annotated[
        str,
        typer.Option(
            "--name", help="Name of the model in the report, such as autogluon.", show_default=False
        ),
    ]
    out: NewRunOption
    overrides: DataOverrides = None
    others: Annotated[
        OtherProducts,
        typer.Option(
            "--others",
            help="What to do with products that are not test products: refuse the file, ignore them, or keep them as "
            "held-out products, if the model did not learn from them.",
        ),
    ] = OtherProducts.refuse
    config: ConfigOption = None
    overwrite: OverwriteOption = False


@import_app.command(name="import")
@takes(ImportOptions)
def import_command(options: ImportOptions) -> None:
    """Make a run from another program's predictions, for compare and label-issues.

    Example: fusionclf import autogluon.csv --data data/fashion-small --name autogluon --out runs/autogluon
    """
    from fusionclf.cli.train import show_scores
    from fusionclf.config.shipped import find_config
    from fusionclf.console import Console
    from fusionclf.workflows.import_predictions import ImportRequest, import_predictions

    console = Console()
    request = ImportRequest(
        options.file, options.name, options.data, options.out, options.others.value,
        find_config(options.config), tuple(options.overrides or ()),
    )  # fmt: skip
    metrics = import_predictions(request, overwrite=options.overwrite, console=console)
    show_scores(console, options.out, metrics)
