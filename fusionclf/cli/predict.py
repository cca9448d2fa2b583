"""`fusionclf predict`."""

from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import Columns, CpuOption, PartOption
from fusionclf.errors import PredictionError

predict_app = typer.Typer()

RunFolder = Annotated[Path, typer.Option("--run", "--run-folder", help="A finished run.", show_default=False)]
InputOption = Annotated[
    Path | None,
    typer.Option("--input", help="CSV, Parquet or JSON lines, or a folder of pictures.", show_default=False),
]
OutOption = Annotated[
    Path | None,
    typer.Option("--out", help="CSV, Parquet or JSON lines; default: INPUT.predictions beside the input."),
]
PicturesOption = Annotated[
    Path | None, typer.Option("--pictures", help="Folder of the pictures; default: the input's.")
]
TopKOption = Annotated[int, typer.Option("--top-k", min=1, help="Classes named for each product.")]
MinProbabilityOption = Annotated[
    float, typer.Option("--min-probability", min=0, max=1, help="Abstain below it.")
]
TargetPrecisionOption = Annotated[
    float | None,
    typer.Option(
        "--target-precision",
        min=0,
        max=1,
        help="Accept only what is right in this share by held-out answers, such as 0.98; else review or reject.",
    ),
]
ClassesOption = Annotated[
    Path | None,
    typer.Option(
        "--classes",
        help="Text file of further classes, one a line: Name, Category > Name, or Name | synonym.",
    ),
]


@predict_app.command(name="predict")
def predict_command(
    run: RunFolder,
    source: InputOption = None,
    out: OutOption = None,
    overrides: Columns = None,
    pictures: PicturesOption = None,
    part: PartOption = None,
    top_k: TopKOption = 5,
    min_probability: MinProbabilityOption = 0.0,
    target_precision: TargetPrecisionOption = None,
    image: Annotated[Path | None, typer.Option("--image", help="One product's picture.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="One product's title.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One product's answer as JSON.")] = False,
    classes: ClassesOption = None,
    only: Annotated[bool, typer.Option("--only", help="Answer with the classes of --classes alone.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an output that was cut off.")] = False,
    cpu: CpuOption = False,
) -> None:
    """Answer every product of a file by a finished run, or one product by --image and --title.

    Example: fusionclf predict --run runs/fusion --input products.csv catalog.title=name catalog.id=sku
    """
    from fusionclf.console import Console
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
    predict(request, overwrite=overwrite, resume=resume, cpu=cpu, console=Console())
