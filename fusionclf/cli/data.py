"""`fusionclf data`: describe, check, correct, generate or download a catalog, or fetch its pictures."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.group import Commands
from fusionclf.cli.options import Columns, ConfigOption, DataOption, DataOverrides

data_app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    help="Describe, check, correct, generate or download a catalog, or fetch its pictures.",
)


@data_app.command(name="describe")
def describe_command(
    data: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="The catalog: its folder, or its table.", show_default=False),
    ],
    overrides: Columns = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File to write; default: catalog.yaml beside the table.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file; the old one is kept as catalog.yaml.1.")
    ] = False,
) -> None:
    """Guess the roles of a catalog's columns and write catalog.yaml beside its table, which every command reads.

    Settings that you give are kept; the others are guessed.

    Example: fusionclf data describe data/flipkart
    """
    from fusionclf.console import Console
    from fusionclf.workflows.describe import data_describe

    data_describe(data, tuple(overrides or ()), out, overwrite, Console())


@data_app.command(name="check")
def check_command(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DATA", help="The catalog: its folder, or its table.", show_default=False),
    ],
    overrides: DataOverrides = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
    page: Annotated[
        Path | None,
        typer.Option("--page", help="HTML file for examples of blank, dark, blurred and odd-sized pictures."),
    ] = None,
) -> None:
    """Report what is in a catalog, what was repaired or dropped, and whether it can be used.

    Takes settings of catalog, split and pictures. Exit code 0: usable, 2: not.

    Example: fusionclf data check data/fashion-small
    """
    from fusionclf.console import Console
    from fusionclf.workflows.data import data_check

    console = Console()
    if not data_check(folder, config, tuple(overrides or ()), as_json, console, page):
        raise typer.Exit(2)
    words = " with the same settings" if overrides or config else ""
    console.info(f"next: fusionclf baseline linear --data {folder} --out runs/linear{words}")


@data_app.command(name="apply")
def apply_command(
    corrections: Annotated[
        Path,
        typer.Argument(
            help="corrections.csv, filled in, or Label Studio's export as JSON or JSON-MIN.",
            show_default=False,
        ),
    ],
    data: DataOption,
    overrides: Columns = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Table to write; default: NAME.corrected beside the catalog's table."),
    ] = None,
    new_classes: Annotated[
        bool, typer.Option("--new-classes", help="Accept labels that no product of the catalog has yet.")
    ] = False,
    ignore_unknown: Annotated[
        bool, typer.Option("--ignore-unknown", help="Leave out corrections of products that the table lacks.")
    ] = False,
) -> None:
    """Write a copy of a catalog's table with corrected labels, and a log of the changes; the original is not changed.

    Categories that never occur with the new label are replaced by its most frequent ones. No file is replaced.

    Example: fusionclf data apply label-issues/corrections.csv --data data/fashion-small
    """
    from fusionclf.console import Console
    from fusionclf.workflows.corrections import CorrectionOptions, data_apply

    options = CorrectionOptions(out, new_classes, ignore_unknown)
    data_apply(corrections, data, tuple(overrides or ()), options, Console())


@data_app.command(name="fetch")
def fetch_command(
    data: DataOption,
    overrides: Columns = None,
    config: ConfigOption = None,
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, help="Largest number of pictures to fetch.", show_default=False),
    ] = None,
    most_gb: Annotated[float, typer.Option("--max-gb", min=0.001, help="Stop after this many GB.")] = 10.0,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Allow hosts of private networks and this machine.")
    ] = False,
) -> None:
    """Download the pictures at a catalog's URLs into its folder pictures/, where every command finds them.

    To resume after an interruption or to retry failures, run it again. Takes settings of catalog. Exit code 0: all
    pictures are there, 1: some failed.

    Example: fusionclf data fetch --data data/shop catalog.file=products.csv "catalog.picture={image_url}"
    """
    from fusionclf.catalog.fetching import FetchLimits
    from fusionclf.console import Console
    from fusionclf.workflows.data import check_settings
    from fusionclf.workflows.fetch import FetchRequest, fetch

    limits = FetchLimits(total_bytes=round(most_gb * 1e9))
    if allow_private:
        limits = replace(limits, is_allowed=lambda address: True)
    columns = check_settings(data, config, tuple(overrides or ())).catalog
    if not fetch(FetchRequest(data, columns, limit, limits), Console()):
        raise typer.Exit(1)


@data_app.command(name="sample")
def sample_command(
    dest: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    products: Annotated[int, typer.Option("--products", min=200, help="Number of products.")] = 600,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the generated catalog.")] = 0,
    label_errors: Annotated[
        int,
        typer.Option("--label-errors", min=0, help="Products to label wrongly; label_errors.csv lists them."),
    ] = 0,
) -> None:
    """Generate a small catalog in the Kaggle layout, with drawn pictures and every fault of the real one.

    Example: fusionclf data sample data/sample
    """
    from fusionclf.catalog import generate_sample
    from fusionclf.console import Console

    generate_sample(dest, products=products, seed=seed, label_errors=label_errors)
    Console().info(f"wrote {dest}; next: fusionclf data check {dest}")


@data_app.command(name="download")
def download_command(
    dest: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    version: Annotated[
        str, typer.Option("--version", help="small (60×80 pictures) or full (1080×1440).")
    ] = "small",
) -> None:
    """Download the Kaggle Fashion Product Images through kagglehub (extra `download`).

    Example: fusionclf data download data/fashion-small
    """
    from fusionclf.catalog import download_catalog
    from fusionclf.console import Console

    download_catalog(dest, version=version)
    Console().info(f"wrote {dest}; next: fusionclf data check {dest}")
