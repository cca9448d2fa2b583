"""The command line. Every command is thin: what it does stands in `workflows`, imported when it runs."""

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from fusionclf.cli_classes import classes_app
from fusionclf.cli_ship import ship_app
from fusionclf.errors import FusionclfError, RunError, Stopped, Terminated
from fusionclf.serving.command import serve_command

if TYPE_CHECKING:
    from fusionclf.console import Console


class OneLineErrors(TyperGroup):
    """Prints a FusionclfError as one line and exits with its code: 2, or the shell's for a signal."""

    def invoke(self, ctx: typer.Context) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        before = signal.signal(signal.SIGTERM, _terminate) if _in_main_thread() else None
        try:
            return super().invoke(ctx)
        except FusionclfError as error:
            label = "" if isinstance(error, Stopped) else "error: "
            print(f"{label}{' '.join(str(error).split())}", file=sys.stderr)
            raise SystemExit(error.exit_code) from None
        except KeyboardInterrupt as asked:
            print("interrupted; give the same command with --resume to go on", file=sys.stderr)
            raise SystemExit(143 if isinstance(asked, Terminated) else 130) from None
        finally:
            if before is not None:
                signal.signal(signal.SIGTERM, before)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


def _terminate(*_: Any) -> None:
    raise Terminated


# Under the help that `fusionclf` alone shows: what to do first.
NEXT = """Begin with [bold]fusionclf demo --out demo[/]: a generated catalog, all variants, the report.

With a catalog of your own: [bold]fusionclf data check DIR[/]; docs/guide.md leads on from there."""

app = typer.Typer(
    name="fusionclf",
    cls=OneLineErrors,
    no_args_is_help=True,
    epilog=NEXT,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(no_args_is_help=True, help="Check, generate or download a catalog.")
app.add_typer(data_app, name="data")
app.add_typer(classes_app, name="classes")
app.add_typer(ship_app)

DataOption = Annotated[Path, typer.Option("--data", help="Folder of the catalog.", show_default=False)]
RunOption = Annotated[Path, typer.Option("--out", help="Run folder to make.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as train.epochs=3.", show_default=False),
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", help="Settings file: a path, or a name from configs/ (image-cpu).")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the run that the folder holds.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Go on with the run that the folder holds.")]
CpuOption = Annotated[bool, typer.Option("--cpu", help="Stay on the CPU even where there is a GPU.")]


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
    """Classify catalog products from their picture and their title, and compare models fairly."""


@app.command(name="train")
def train_command(
    variant: Annotated[str, typer.Argument(help="image, multitask, text or fusion.", show_default=False)],
    data: DataOption,
    out: RunOption,
    overrides: Overrides = None,
    config: ConfigOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
    cpu: CpuOption = False,
    track: Annotated[
        str | None, typer.Option("--track", help="Tell a tracker of every epoch: tensorboard, wandb, …")
    ] = None,
) -> None:
    """Train a variant and score it on the test rows.

    Example: fusionclf train fusion --data data/fashion-small --out runs/fusion --config fusion-cpu
    """
    from fusionclf.workflows.settings import find_config
    from fusionclf.workflows.train import train

    console = _console()
    metrics = train(
        variant, data, out, config=find_config(config), overrides=tuple(overrides or ()),
        overwrite=overwrite, resume=resume, cpu=cpu, track=track, console=console,
    )  # fmt: skip
    _show_scores(console, out, metrics)


@app.command(name="baseline")
def baseline_command(
    name: Annotated[str, typer.Argument(help="nb, linear or majority.", show_default=False)],
    data: DataOption,
    out: RunOption,
    overrides: Overrides = None,
    config: ConfigOption = None,
    overwrite: OverwriteOption = False,
    resume: ResumeOption = False,
) -> None:
    """Fit a baseline on the titles and score it on the test rows.

    Example: fusionclf baseline nb --data data/fashion-small --out runs/nb protocol=reference
    """
    from fusionclf.workflows.baseline import run_baseline
    from fusionclf.workflows.settings import find_config

    console = _console()
    metrics = run_baseline(
        name, data, out, config=find_config(config), overrides=tuple(overrides or ()),
        overwrite=overwrite, resume=resume, console=console,
    )  # fmt: skip
    _show_scores(console, out, metrics)


@app.command(name="predict")
def predict_command(
    run: Annotated[Path, typer.Option("--run", "--run-folder", help="A finished run.", show_default=False)],
    source: Annotated[
        Path | None,
        typer.Option(
            "--input", help="CSV, Parquet or JSON lines, or a folder of pictures.", show_default=False
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="CSV, Parquet or JSON lines; default: INPUT.predictions beside the input."
        ),
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[KEY=VALUE]...", help="Columns, such as catalog.title=name.", show_default=False
        ),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder of the pictures; default: the input's.")
    ] = None,
    part: Annotated[
        str | None, typer.Option("--part", help="Which of the run's models; default: joint, or the only one.")
    ] = None,
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Classes named for each product.")] = 5,
    min_probability: Annotated[
        float, typer.Option("--min-probability", min=0, max=1, help="Abstain below it.")
    ] = 0.0,
    target_precision: Annotated[
        float | None,
        typer.Option(
            "--target-precision",
            min=0,
            max=1,
            help="Accept only what is right in this share by held-out answers, such as 0.98; else review or reject.",
        ),
    ] = None,
    image: Annotated[Path | None, typer.Option("--image", help="One product's picture.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="One product's title.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One product's answer as JSON.")] = False,
    classes: Annotated[
        Path | None,
        typer.Option("--classes", help="Text file of further classes, one a line: Name, or Category > Name."),
    ] = None,
    only: Annotated[bool, typer.Option("--only", help="Answer with the classes of --classes alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an output that was cut off.")] = False,
    cpu: CpuOption = False,
) -> None:
    """Answer every product of a file by a finished run, or one product by --image and --title.

    Example: fusionclf predict --run runs/fusion --input products.csv catalog.title=name catalog.id=sku
    """
    from fusionclf.errors import PredictionError
    from fusionclf.prediction import Rule
    from fusionclf.workflows.predict import Request, predict, predict_one

    rule = Rule(top_k, min_probability, target_precision)
    if (source is None) == (image is None and title is None):
        raise PredictionError("give either --input FILE_OR_FOLDER, or --image and --title of one product")
    if source is None:
        predict_one(
            run, image=image, title=title, part=part, rule=rule, classes=classes, only=only, cpu=cpu,
            as_json_text=as_json,
        )  # fmt: skip
        return
    request = Request(run, source, out, part, rule, pictures, tuple(overrides or ()), classes, only)
    predict(request, overwrite=overwrite, resume=resume, cpu=cpu, console=_console())


@app.command(name="compare")
def compare_command(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.", show_default=False)],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the report.", show_default=False)
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="The runs' catalog, if it was moved: for titles and pictures.", show_default=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json's content.")] = False,
) -> None:
    """Compare finished runs of one split: report.html, report.md and report.json.

    Example: fusionclf compare runs/* --out report
    """
    import json

    from fusionclf.report import compare

    if out is None and not as_json:
        raise RunError("nowhere to write the report: give --out DIR, or --json to print its figures")
    value = compare(runs, out, data)
    if out is not None:
        _console().say(f"wrote {out / 'report.html'}, report.md and report.json; next: open it")
    if value["catalog_note"]:
        _console().warn(f"{value['catalog_note']}: no titles and pictures; --data DIR gives them")
    if as_json:  # escaped to ASCII: text of a catalog must not steer a terminal
        print(json.dumps(value, indent=2, allow_nan=False))


@app.command(name="audit")
def audit_command(
    runs: Annotated[
        list[Path], typer.Option("--run", help="A finished run; give several.", show_default=False)
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder for the page.", show_default=False)],
    top: Annotated[int, typer.Option("--top", min=1, help="Entries to list.")] = 200,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The runs' catalog, if it was moved.", show_default=False),
    ] = None,
) -> None:
    """List products whose label the runs' models dispute, best first: audit.html, audit.csv and audit.json.

    Example: fusionclf audit --run runs/fusion --run runs/linear --out audit
    """
    from fusionclf.report import audit

    value = audit(runs, out, top=top, data=data)
    _console().say(
        f"{value['disputed']} of {value['products']} labels are disputed; wrote the first {len(value['entries'])} "
        f"entries to {out / 'audit.html'}, audit.csv and audit.json"
    )


@app.command(name="study")
def study_command(
    data: DataOption,
    out: Annotated[
        Path, typer.Option("--out", help="Folder for the runs and the report.", show_default=False)
    ],
    configs: Annotated[
        str,
        typer.Option(
            "--configs",
            help="Folder of settings files, a file that lists runs, or a set: cpu, frozen, sample, ablation.",
        ),
    ] = "cpu",
    seeds: Annotated[int, typer.Option("--seeds", min=1, help="Seeds a trained variant is run with.")] = 1,
    overrides: Overrides = None,
    cpu: CpuOption = False,
) -> None:
    """Run every variant on one split, then compare them. Finished runs are kept, failed ones named at the end.

    Example: fusionclf study --data data/fashion-small --out study
    """
    from fusionclf.workflows.study import study

    code = study(
        data, out, configs=configs, seeds=seeds, overrides=tuple(overrides or ()), cpu=cpu, console=_console()
    )
    raise typer.Exit(code)


@app.command(name="demo")
def demo_command(
    out: Annotated[Path, typer.Option("--out", help="Folder to make.", show_default=False)],
    products: Annotated[int, typer.Option("--products", min=200, help="Size of the sample catalog.")] = 600,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Generate the sample catalog, run every variant on it and write the report.

    Example: fusionclf demo --out demo
    """
    from fusionclf.workflows.study import demo

    raise typer.Exit(demo(out, products=products, seed=seed, console=_console()))


app.command(name="serve")(serve_command)


@data_app.command(name="check")
def check_command(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the catalog.", show_default=False)],
    overrides: Overrides = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Report what is in a catalog, what was repaired or dropped, and whether it can be used.

    Settings are those below catalog, split and pictures. Exit code 0: usable, 2: not.

    Example: fusionclf data check data/fashion-small
    """
    from fusionclf.workflows.data import check_catalog

    console = _console()
    if not check_catalog(folder, config, tuple(overrides or ()), as_json, console):
        raise typer.Exit(2)
    words = " with the same settings" if overrides or config else ""
    console.say(f"next: fusionclf baseline linear --data {folder} --out runs/linear{words}")


@data_app.command(name="sample")
def sample_command(
    dest: Annotated[Path, typer.Argument(help="Folder to make.", show_default=False)],
    products: Annotated[int, typer.Option("--products", min=200)] = 600,
    seed: Annotated[int, typer.Option("--seed", min=0)] = 0,
) -> None:
    """Generate a small catalog in the Kaggle layout, with drawn pictures and every fault of the real one.

    Example: fusionclf data sample data/sample
    """
    from fusionclf.catalog import generate_sample

    generate_sample(dest, products=products, seed=seed)
    _console().say(f"wrote {dest}; next: fusionclf data check {dest}")


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

    download_catalog(dest, version=version)
    _console().say(f"wrote {dest}; next: fusionclf data check {dest}")


def _console() -> "Console":
    from fusionclf.console import Console

    return Console()


def _show_scores(console: "Console", out: Path, metrics: dict[str, Any]) -> None:
    if not metrics:  # a helper process of a distributed run
        return
    for part, scores in metrics["parts"].items():
        top5 = f", top-5 {scores['top5']:.2f} %" if scores["top5"] is not None else ""
        console.say(f"{part}: top-1 {scores['top1']:.2f} %{top5} of {scores['n']} test products")
    if metrics["joint"].get("top1") is not None:
        console.say(f"joint: top-1 {metrics['joint']['top1']:.2f} %")
    console.say(f"wrote {out}; next: fusionclf compare {out} OTHER_RUN --out report")


def main() -> None:
    """The console script."""
    app()
