"""Commands that make runs: `train`, `baseline`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fusionclf.cli.options import (
    ConfigOption,
    CpuOption,
    DataOption,
    NewRunOption,
    Overrides,
    OverwriteOption,
    ResumeOption,
)
from fusionclf.cli.options_class import takes

if TYPE_CHECKING:
    from fusionclf.console import Console

train_app = typer.Typer()
FOLDER = Path(__file__).parents[1] / "models" / "variants"
VARIANTS = sorted(file.stem for file in FOLDER.glob("[a-z]*.py"))  # importing them would import torch


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """Options of `train`."""

    variant: Annotated[str, typer.Argument(help=f"{', '.join(VARIANTS)}.", show_default=False)]
    data: DataOption
    out: NewRunOption
    overrides: Overrides = None
    config: ConfigOption = None
    overwrite: OverwriteOption = False
    resume: ResumeOption = False
    cpu: CpuOption = False
    track: Annotated[
        str | None, typer.Option("--track", help="Log every epoch to a tracker: tensorboard, wandb, …")
    ] = None


@train_app.command(name="train")
@takes(TrainOptions)
def train_command(options: TrainOptions) -> None:
    """Train a variant and score it on the test rows.

    Example: fusionclf train fusion --data data/fashion-small --out runs/fusion --config fusion-cpu
    """
    from fusionclf.config.shipped import find_config
    from fusionclf.console import Console
    from fusionclf.workflows import train as workflow
    from fusionclf.workflows.settings import ExistingRun

    console = Console()
    existing = ExistingRun(overwrite=options.overwrite, resume=options.resume)
    metrics = workflow.train(
        options.variant, options.data, options.out, overrides=tuple(options.overrides or ()), cpu=options.cpu,
        options=workflow.TrainOptions(find_config(options.config), existing, options.track, console),
    )  # fmt: skip
    show_scores(console, options.out, metrics)


@train_app.command(name="baseline")
def baseline_command(
    name: Annotated[str, typer.Argument(help="nb, linear or majority.", show_default=False)],
    data: DataOption,
    out: NewRunOption,
    overrides: Overrides = None,
    config: ConfigOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
) -> None:
    """Fit a baseline on the train rows and score it on the test rows.

    Example: fusionclf baseline nb --data data/fashion-small --out runs/nb protocol=reference
    """
    from fusionclf.config.shipped import find_config
    from fusionclf.console import Console
    from fusionclf.workflows.baseline import run_baseline
    from fusionclf.workflows.settings import ExistingRun

    console = Console()
    metrics = run_baseline(
        name, data, out, config=find_config(config), overrides=tuple(overrides or ()),
        existing=ExistingRun(overwrite, resume), console=console,
    )  # fmt: skip
    show_scores(console, out, metrics)


def show_scores(console: "Console", out: Path, metrics: dict[str, Any]) -> None:
    """Print the accuracy of a finished run, and what to do next."""
    from fusionclf.run_schema import ALL_CLASSES

    if not metrics:  # not the main process of a distributed run
        return
    for part, scores in metrics["parts"].items():
        if not scores["n"]:
            console.info(f"{part}: no test products, so no metrics")
            continue
        top5 = f", top-5 {scores['top5']:.2f} %" if scores["top5"] is not None else ""
        console.info(f"{part}: top-1 {scores['top1']:.2f} %{top5} of {scores['n']} test products")
    if metrics[ALL_CLASSES].get("top1") is not None:
        console.info(f"{ALL_CLASSES}: top-1 {metrics[ALL_CLASSES]['top1']:.2f} %")
    if "multilabel" in metrics:
        found = metrics["multilabel"]["scores"]
        shown = ", ".join(
            f"{title} {found[name]:.2f} %"
            for name, title in (
                ("micro_f1", "micro F1"),
                ("macro_f1", "macro F1"),
                ("mean_average_precision", "mAP"),
            )
            if found[name] is not None
        )
        console.info(f"several labels: {shown} of {found['n']} test products")
    for part, columns in metrics.get("answers", {}).items():
        shown = [f"{name} {found['top1']:.2f} %" for name, found in columns.items() if found["n"]]
        console.info(f"{part}, further columns: top-1 {', '.join(shown)}")
    tested = "multilabel" in metrics or any(scores["n"] for scores in metrics["parts"].values())
    following = f"compare {out} OTHER_RUN --out report" if tested else f"predict --run {out} --input PRODUCTS"
    console.info(f"wrote {out}; next: fusionclf {following}")
