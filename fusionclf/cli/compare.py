"""Commands that read finished runs of one catalog: `compare`, `label-issues`."""

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
            "--data",
            help="The runs' catalog, if it was moved. If they have several: the one whose labels count.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print report.json's content.")] = False,
) -> None:
    """Compare finished runs of one split: report.html, report.md and report.json.

    If the catalog was corrected between runs, all are scored by the labels of the run that finished last.

    Example: fusionclf compare runs/* --out report
    """
    from fusionclf.console import Console, json_text
    from fusionclf.report import compare
    from fusionclf.workflows.score_table import print_scores

    if out is None and not as_json:
        raise RunError("no output: give --out DIR, or --json to print the report")
    value = compare(runs, out, data)
    for line in value.get("remarks", ()):
        Console().info(line)
    if out is not None:
        Console().info(f"wrote {out / 'report.html'}, report.md and report.json; next: open it")
    if value["catalog_note"]:
        Console().warn(f"{value['catalog_note']}: no titles and pictures; --data DIR gives them")
    if as_json:
        print(json_text(value))
    else:
        print_scores(value)


RunsOption = Annotated[
    list[Path], typer.Option("--run", help="A finished run; give several.", show_default=False)
]
PageOption = Annotated[Path, typer.Option("--out", help="Folder for the output.", show_default=False)]
TopOption = Annotated[int, typer.Option("--top", min=1, help="Entries to list.")]
MovedCatalogOption = Annotated[
    Path | None, typer.Option("--data", help="The runs' catalog, if it was moved.", show_default=False)
]


@compare_app.command(name="label-issues")
def label_issues_command(
    runs: RunsOption, out: PageOption, top: TopOption = 200, data: MovedCatalogOption = None
) -> None:
    """List products whose label is probably wrong, the most probable first, in label-issues.html, .csv and .json.

    Correct labels in corrections.csv, or in Label Studio with label-studio.json and label-studio.xml; then run
    `fusionclf data apply`.

    Example: fusionclf label-issues --run runs/fusion --run runs/linear --out label-issues
    """
    from fusionclf.catalog.corrections import cut_note
    from fusionclf.console import Console
    from fusionclf.report import list_label_issues

    value = list_label_issues(runs, out, top=top, data=data)
    Console().info(
        f"{value['disputed']} of {value['products']} labels are probably wrong; wrote the first "
        f"{len(value['entries'])} entries to {out / 'label-issues.html'}, label-issues.csv and label-issues.json"
        f"{cut_note(len(value['entries']))}"
    )
    if value["entries"]:
        Console().info(
            f"next: fill in the column correction of {out / 'corrections.csv'}, or review in Label Studio; then "
            f"fusionclf data apply {out / 'corrections.csv'} --data CATALOG"
        )


@compare_app.command(name="audit", hidden=True)
def audit_command(
    runs: RunsOption, out: PageOption, top: TopOption = 200, data: MovedCatalogOption = None
) -> None:
    """The old name of `label-issues`, up to version 0.2.

    Example: fusionclf audit --run runs/fusion --run runs/linear --out label-issues
    """
    from fusionclf.console import Console

    Console().warn("the command audit was renamed; use label-issues (version 0.2 removes audit)")
    label_issues_command(runs, out, top, data)
