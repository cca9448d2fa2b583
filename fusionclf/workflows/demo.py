"""`fusionclf demo`: a generated catalog, every variant, and what the fusion model can do that others cannot."""

import csv
from pathlib import Path

import pandas as pd

from fusionclf.catalog import LABEL_ERRORS, generate_sample, read_catalog
from fusionclf.console import Console
from fusionclf.evaluation.read_predictions import read_predictions
from fusionclf.files import locked_folder, locked_output
from fusionclf.models.packages import has_offline
from fusionclf.prediction import RunModel
from fusionclf.prediction.io.products import Product
from fusionclf.report import list_label_issues
from fusionclf.run_schema import ALL_CLASSES
from fusionclf.runfolder import is_finished
from fusionclf.workflows.explain import explain_one
from fusionclf.workflows.study import study

WRONG = 8  # products of the catalog with a label error


def demo(out: Path, *, products: int = 500, seed: int = 0, console: Console | None = None) -> int:
    """Generate the sample catalog below `out`, run a study, and show what its fusion model can do.

    Where the extra `offline` is installed, the variants use its frozen encoders, and fusion has an open vocabulary.
    Elsewhere they are small networks that are trained from scratch.

    Returns:
        Exit code of the study.
    """
    console = console or Console()
    catalog = out / "catalog"
    with locked_folder(out):
        with locked_output(catalog):
            if not catalog.is_dir():
                generate_sample(catalog, products=products, seed=seed, label_errors=WRONG)
                console.info(
                    f"wrote {catalog}: a generated catalog; its metrics say nothing about real catalogs"
                )
        pretrained = has_offline()
        code = study(catalog, out, configs="demo" if pretrained else "sample", cpu=True, console=console)
        if not pretrained:
            console.info('for a fusion model that names unseen classes: pip install "fusionclf[offline]"')
        elif is_finished(run := out / "runs" / "fusion"):
            _show_unseen_classes(run, catalog, out / "explanation", console)
            _show_label_issues(run, catalog, out / "label-issues", console)
    console.info(f"next: open {out / 'report' / 'report.html'}, or: fusionclf data check YOUR_CATALOG")
    return code


def _show_unseen_classes(run: Path, catalog: Path, out: Path, console: Console) -> None:
    """Count the test products of unseen classes that the run names, and explain its surest such answer."""
    answers = read_predictions(run / "predictions" / f"{ALL_CLASSES}.parquet")
    unseen = answers.loc[answers["label_train_count"] == 0]
    named = unseen.loc[unseen["label"] == unseen["label_1"]].sort_values("prob_1", ascending=False)
    classes = ", ".join(sorted(unseen["label"].unique()))
    console.info(f"classes without a training product: {classes}")
    console.info(f"fusion predicts {len(named)} of their {len(unseen)} test products right; for example:")
    if named.empty:
        return
    table = read_catalog(catalog).table.set_index("id")
    row = table.loc[named["id"].iloc[0]]
    console.info(f"{catalog / row['picture']}, “{row['title']}”")
    explain_one(RunModel(run, cpu=True), Product((catalog / row["picture"],), row["title"]), out=out)


def _show_label_issues(run: Path, catalog: Path, out: Path, console: Console) -> None:
    """List probable label errors, and count how many of the catalog's known ones are among them."""
    with (catalog / LABEL_ERRORS).open(encoding="utf-8", newline="") as file:
        known = {row["id"] for row in csv.DictReader(file)}
    found = pd.DataFrame(list_label_issues([run], out)["entries"])
    hits = len(known & set(found["id"])) if len(found) else 0
    console.info(
        f"label errors: {hits} of the catalog's {len(known)} are among the {len(found)} that {run.name} suspects: "
        f"{out / 'label-issues.html'}"
    )
