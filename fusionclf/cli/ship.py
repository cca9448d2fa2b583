"""Commands on a finished run: `explain`, `export`, `push`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.cli.options import CpuOption, FieldOption, PartOption, RunOption, parse_fields
from fusionclf.cli.options_class import takes

ship_app = typer.Typer()


class Format(StrEnum):
    """What `export` writes."""

    onnx = "onnx"
    torch = "torch"


@dataclass(frozen=True, kw_only=True)
class ExplainOptions:
    """Options of `explain`."""

    run: RunOption
    image: Annotated[
        list[Path] | None, typer.Option("--image", help="The product's picture; repeatable.")
    ] = None
    title: Annotated[str | None, typer.Option("--title", help="The product's title.")] = None
    field: FieldOption = None
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for explanation.png and explanation.json.")
    ] = None
    label: Annotated[
        str | None, typer.Option("--label", help="Class to explain; default: the predicted one.")
    ] = None
    cells: Annotated[
        int, typer.Option("--cells", min=1, max=32, help="Cells along the picture's longer side.")
    ] = 8
    part: PartOption = None
    as_json: Annotated[bool, typer.Option("--json", help="Print explanation.json's content.")] = False
    cpu: CpuOption = False


@ship_app.command(name="explain")
@takes(ExplainOptions)
def explain_command(options: ExplainOptions) -> None:
    """Show how much each cell of the picture, each word and each field contributed to a prediction.

    Example: fusionclf explain --run runs/fusion --image shoe.jpg --title "Blue Running Shoes" --out explanation
    """
    from fusionclf.prediction import RunModel
    from fusionclf.prediction.io.products import Product
    from fusionclf.workflows.explain import explain_one

    explain_one(
        RunModel(options.run, options.part, options.cpu),
        Product(options.image or (), options.title, parse_fields(options.field or ())),
        out=options.out, label=options.label, cells=options.cells, as_json=options.as_json,
    )  # fmt: skip


@ship_app.command(name="export")
def export_command(
    run: RunOption,
    out: Annotated[Path, typer.Option("--out", help="Folder to make.", show_default=False)],
    form: Annotated[
        Format, typer.Option("--format", help="onnx, or torch for a torch.export program.")
    ] = Format.onnx,
    part: PartOption = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", help="The run's catalog for the check, if it was moved.", show_default=False),
    ] = None,
    products: Annotated[
        int, typer.Option("--products", min=1, help="Number of test products to check.")
    ] = 200,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")] = False,
) -> None:
    """Export a network for other programs, in float32; refused if its predictions differ from the run's.

    Example: fusionclf export --run runs/fusion --format onnx --out fusion-onnx
    """
    from fusionclf.console import Console
    from fusionclf.workflows.export import ExportRequest, export

    request = ExportRequest(run, out, form.value, part, data, products)
    export(request, overwrite=overwrite, console=Console())


@ship_app.command(name="push")
def push_command(
    run: RunOption,
    repo: Annotated[
        str, typer.Option("--repo", help="Model repository, such as me/fashion-fusion.", show_default=False)
    ],
    private: Annotated[bool, typer.Option("--private", help="Make the repository private.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list what would be uploaded.")] = False,
) -> None:
    """Upload a run's model, settings, metrics and card to the Hugging Face hub; no product ids, no titles.

    Example: fusionclf push --run runs/fusion --repo me/fashion-fusion --private --dry-run
    """
    from fusionclf.console import Console
    from fusionclf.workflows.push import push

    push(run, repo, private=private, dry_run=dry_run, console=Console())
