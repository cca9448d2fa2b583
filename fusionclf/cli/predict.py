"""`fusionclf predict`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import Columns, CpuOption, EngineOption, FieldOption, PartOption, parse_fields
from fusionclf.cli.options_class import takes
from fusionclf.errors import PredictionError

predict_app = typer.Typer()


@dataclass(frozen=True, kw_only=True)
class PredictOptions:
    """Options of `predict`."""

    run: Annotated[Path, typer.Option("--run", "--run-folder", help="A finished run.", show_default=False)]
    source: Annotated[
        Path | None,
        typer.Option(
            "--input", help="CSV, Parquet or JSON lines, or a folder of pictures.", show_default=False
        ),
    ] = None
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", help="CSV, Parquet or JSON lines; default: INPUT.predictions beside the input."
        ),
    ] = None
    overrides: Columns = None
    pictures: Annotated[
        Path | None, typer.Option("--pictures", help="Folder of the pictures; default: the input's.")
    ] = None
    part: PartOption = None
    top_k: Annotated[int, typer.Option("--top-k", min=1, help="Number of classes for each product.")] = 5
    min_probability: Annotated[
        float | None,
        typer.Option(
            "--min-probability",
            min=0,
            max=1,
            help="Abstain below this probability; default: 0.05, or none with --target-precision.",
        ),
    ] = None
    target_precision: Annotated[
        float | None,
        typer.Option(
            "--target-precision",
            min=0,
            max=1,
            help="Guaranteed precision of accepted predictions, such as 0.98; the others get review or reject.",
        ),
    ] = None
    image: Annotated[
        list[Path] | None, typer.Option("--image", help="One product's picture; repeatable.")
    ] = None
    title: Annotated[str | None, typer.Option("--title", help="One product's title.")] = None
    field: FieldOption = None
    review: Annotated[
        Path | None,
        typer.Option(
            "--review", help="Folder for the products that are not accepted, as CSV and for Label Studio."
        ),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="Print one product's prediction as JSON.")] = False
    classes: Annotated[
        Path | None,
        typer.Option(
            "--classes",
            help="Text file of further classes, one per line: Name, Category > Name, or Name | synonym; or a "
            "taxonomy of Google or Shopify.",
        ),
    ] = None
    only: Annotated[bool, typer.Option("--only", help="Predict only the classes of --classes.")] = False
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the output.")] = False
    resume: Annotated[bool, typer.Option("--resume", help="Resume an output that was interrupted.")] = False
    cpu: CpuOption = False
    engine: EngineOption = None


@predict_app.command(name="predict")
@takes(PredictOptions)
def predict_command(options: PredictOptions) -> None:
    """Predict every product of a file with a finished run, or one product with --image and --title.

    Example: fusionclf predict --run runs/fusion --input products.csv catalog.title=name catalog.id=sku
    """
    from fusionclf.memory import no_cycle_collection

    with no_cycle_collection():
        from fusionclf.console import Console
        from fusionclf.prediction import DecisionRule, RunModel
        from fusionclf.prediction.io.products import Product
        from fusionclf.workflows.predict import Request, predict, predict_one

    engine = None if options.engine is None else options.engine.value
    rule = DecisionRule(options.top_k, options.min_probability, options.target_precision)
    product = Product(options.image or (), options.title, parse_fields(options.field or ()))
    if (options.source is None) != bool(product):
        raise PredictionError(
            "give either --input FILE_OR_FOLDER, or --image, --title or both of one product"
        )
    if options.source is None and options.review is not None:
        raise PredictionError("--review is for the products of a file; give --input FILE_OR_FOLDER")
    if options.source is None:
        predict_one(
            RunModel(options.run, options.part, options.cpu, engine), product, rule=rule, classes=options.classes,
            only=options.only, as_json_text=options.as_json,
        )  # fmt: skip
        return
    request = Request(
        options.run, options.source, options.out, options.part, rule, options.pictures,
        tuple(options.overrides or ()), options.classes, options.only, engine,
        options.review,
    )  # fmt: skip
    predict(request, overwrite=options.overwrite, resume=options.resume, cpu=options.cpu, console=Console())
