"""`fusionclf drift`: a finished run and a file of new products → what differs from the run's test products."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.catalog import Split
from fusionclf.catalog.input_profile import UNKNOWN, profile_catalog, unknown_words
from fusionclf.console import Console, json_text, printable
from fusionclf.errors import PredictionError, RunError, SettingsError
from fusionclf.evaluation.drift import SHOWN, THRESHOLD, DriftCheck, find_drift
from fusionclf.evaluation.read_predictions import read_predictions
from fusionclf.evaluation.reference import has_reference, read_reference
from fusionclf.files import locked_folder, write_all
from fusionclf.prediction import Predictor, RunModel
from fusionclf.prediction.job import column_settings, open_products
from fusionclf.prediction.sampling import CLASS, CONFIDENCE, DrawnProducts, describe_products, draw_products
from fusionclf.report import drift_page
from fusionclf.report.catalog import find_catalog
from fusionclf.report.collect import read_runs

LEAST = 50  # with fewer products, only a large difference stands out from noise


@dataclass(frozen=True)
class DriftRequest:
    """What to compare.

    Attributes:
        model: the run's model.
        source: the new products: CSV, Parquet, JSON lines, or a folder of pictures.
        out: folder for drift.html and drift.json; None: neither.
        pictures: folder below which the pictures are; None for that of `source`.
        overrides: catalog.* settings laid over the run's own.
        threshold: smallest difference that counts, as of `find_drift`.
        rows: products to look at, at most; they are drawn at random.
        data: the run's catalog, if it was moved; only a run without the folder `inputs` needs it.
    """

    model: RunModel
    source: Path
    out: Path | None = None
    pictures: Path | None = None
    overrides: tuple[str, ...] = ()
    threshold: float = THRESHOLD
    rows: int = 10_000
    data: Path | None = None


def drift(request: DriftRequest, *, as_json: bool = False, console: Console | None = None) -> dict[str, Any]:
    """Compare new products with a run's test products; print what was found, and write it to `request.out`.

    Args:
        request: what to compare.
        as_json: print JSON in place of a table.
        console: where progress goes.

    Returns:
        drift.json's content.

    Raises:
        SettingsError: the threshold is not between 0 and 1.
        PredictionError: the input cannot be read or has no products.
        RunError: the run cannot be used, or nothing tells what its test products look like.
    """
    console = console or Console()
    if not 0 < request.threshold < 1:
        raise SettingsError(
            f"--threshold {request.threshold}: give a number between 0 and 1, such as {THRESHOLD}"
        )
    value = _compare(request, console)
    if request.out is not None:
        with locked_folder(request.out):
            texts = {"drift.html": drift_page.drift_page(value), "drift.json": json_text(value)}
            write_all(request.out, texts)
        console.info(f"wrote {request.out / 'drift.html'} and drift.json")
    _print(value, as_json)
    return value


def _compare(request: DriftRequest, console: Console) -> dict[str, Any]:
    """drift.json's content."""
    columns = column_settings(request.model.run, request.overrides)
    predictor = request.model.load()
    table = open_products(request.source, columns, predictor, request.pictures)
    for note in table.notes:
        console.warn(note)
    reference, known = _reference(predictor, request.model.run, request.data)
    drawn = draw_products(table, request.rows)
    _check_drawn(request.source, drawn, console)
    current = describe_products(predictor, drawn, known, console)
    checks = find_drift(reference, current, request.threshold)
    return {
        "run": str(request.model.run),
        "part": predictor.part,
        "input": str(request.source),
        "rows": drawn.rows,
        "products": len(drawn),
        "reference_products": len(reference),
        "threshold": request.threshold,
        "drifted": any(check.drifted for check in checks),
        "checks": [_with_words(check, drawn, known).to_dict() for check in checks],
    }


def _check_drawn(source: Path, drawn: DrawnProducts, console: Console) -> None:
    """Warn of rows that are no products, and of few products; raise PredictionError where there are none."""
    if faults := drawn.faults.count:
        examples = "; ".join(drawn.faults.examples)
        console.warn(f"{source}: {faults:,} rows cannot be read and are left out ({examples})")
    if not len(drawn):
        raise PredictionError(f"{source}: no products to compare; give a file with some")
    if len(drawn) < LEAST:
        console.warn(f"only {len(drawn)} products: too few to distinguish small differences from noise")


def _reference(predictor: Predictor, run: Path, data: Path | None) -> tuple[pd.DataFrame, np.ndarray]:
    """What is known about a run's test products, and the words of its training products."""
    if has_reference(run):
        profile, known = read_reference(run)
    else:  # a run of an earlier version
        found = read_runs([run])
        catalog, note = find_catalog(found, data)
        if catalog is None:
            raise RunError(
                f"{run}: has no folder inputs, and {note}; give its catalog by --data, or train again"
            )
        profile, known = profile_catalog(
            catalog, Split.from_dict(found[0].split), pictures=predictor.reads_pictures
        )
    if predictor.model.decision is not None:  # several labels per product: its inputs alone are compared
        return profile, known
    predicted = read_predictions(run / "predictions" / f"{predictor.part}.parquet")
    profile = profile.loc[profile["id"].isin(predicted["id"])].reset_index(drop=True)
    if not len(profile):
        raise RunError(
            f"{run}: has no test products of {predictor.part} to compare with; train with some "
            "(split.test_fraction), or give another --part"
        )
    own = predicted.set_index("id").loc[profile["id"]]
    profile.insert(0, CONFIDENCE, own["prob_1"].to_numpy())
    profile.insert(0, CLASS, pd.Series(own["label_1"].tolist(), dtype="str"))
    return profile, known


def _with_words(check: DriftCheck, drawn: DrawnProducts, known: np.ndarray) -> DriftCheck:
    """A check of unknown words with the most frequent ones."""
    kind, _, name = check.name.partition(":")
    if kind != UNKNOWN:
        return check
    counts = Counter(unknown_words(drawn.fields[name], known)).most_common(SHOWN)
    return replace(check, details=[f"{word}: {count:,} times" for word, count in counts])


def _print(value: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json_text(value), end="")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("", "test products", "new products", "difference", "p", ""):
        table.add_column(name, justify="right" if name not in ("",) else "left")
    for check in value["checks"]:
        numbers = (drift_page.shown(check["name"], check[key]) for key in ("reference", "current"))
        p = "< 0.001" if check["p"] < 0.001 else f"{check['p']:.3f}"
        mark = "[red]drift[/]" if check["drifted"] else ""
        table.add_row(escape(printable(check["name"])), *numbers, f"{check['effect']:.3f}", p, mark)
    out = RichConsole(highlight=False)
    out.print(table)
    for check in value["checks"]:
        if check["drifted"] and check["details"]:
            text = f"{check['name']}: {'; '.join(check['details'])}"
            out.print(escape(printable(text)), soft_wrap=True)
    out.print(_verdict([check["name"] for check in value["checks"] if check["drifted"]]), soft_wrap=True)


def _verdict(names: Sequence[str]) -> str:
    return f"drift: {escape(printable(', '.join(names)))}" if names else "no drift"
