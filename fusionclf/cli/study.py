"""Commands that run every variant: `study`, and `demo` on a generated catalog."""

from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import CpuOption, DataOption, Overrides

study_app = typer.Typer()


@study_app.command(name="study")
def study_command(
    data: DataOption,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the runs and the report.", show_default=False)
    ],
    configs: Annotated[
        str,
        typer.Option(
            "--configs",
            help="Folder of settings files, a file that lists runs, or a set: cpu, frozen, sample, ablation, "
            "attributes.",
        ),
    ] = "cpu",
    seeds: Annotated[
        int, typer.Option("--seeds", min=1, help="Number of seeds for each trained variant.")
    ] = 1,
    overrides: Overrides = None,
    cpu: CpuOption = False,
) -> None:
    """Run every variant on one split, then compare them. Finished runs are kept, failed ones listed at the end.

    Example: fusionclf study --data data/fashion-small --out study
    """
    from fusionclf.console import Console
    from fusionclf.workflows.study import study

    code = study(
        data, out, configs=configs, seeds=seeds, overrides=tuple(overrides or ()), cpu=cpu, console=Console()
    )
    raise typer.Exit(code)


@study_app.command(name="demo")
def demo_command(
    out: Annotated[Path, typer.Option("--out", help="Folder to make.", show_default=False)],
    products: Annotated[int, typer.Option("--products", min=200, help="Size of the sample catalog.")] = 500,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the generated catalog.")] = 0,
) -> None:
    """Generate the sample catalog, run every variant on it and write the report.

    Example: fusionclf demo --out demo
    """
    from fusionclf.console import Console
    from fusionclf.workflows.demo import demo

    raise typer.Exit(demo(out, products=products, seed=seed, console=Console()))
