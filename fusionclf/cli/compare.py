"""Commands that read finished runs of one catalog: `compare`, `audit`."""

from pathlib import Path
from typing import Annotated

import typer

from fusionclf.errors import RunError

compare_app = typer.Typer()


@compare_app.command(name="compare")
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
    from fusionclf.console import Console, json_text
    from fusionclf.report import compare

    if out is None and not as_json:
        raise RunError("nowhere to write the report: give --out DIR, or --json to print its figures")
    value = compare(runs, out, data)
    if out is not None:
        Console().info(f"wrote {out / 'report.html'}, report.md and report.json; next: open it")
    if value["catalog_note"]:
        Console().warn(f"{value['catalog_note']}: no titles and pictures; --data DIR gives them")
    if as_json:
        print(json_text(value))


@compare_app.command(name="audit")
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
    from fusionclf.console import Console
    from fusionclf.report import audit

    value = audit(runs, out, top=top, data=data)
    Console().info(
        f"{value['disputed']} of {value['products']} labels are disputed; wrote the first {len(value['entries'])} "
        f"entries to {out / 'audit.html'}, audit.csv and audit.json"
    )
