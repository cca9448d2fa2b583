"""`fusionclf predict`: a finished run and a file of products → a file of predictions."""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.catalog.picture_cells import MOST_PICTURES
from fusionclf.console import Console, json_text, printable
from fusionclf.errors import RunError
from fusionclf.files import locked_output
from fusionclf.prediction import Answers, DecisionRule, RunModel, load
from fusionclf.prediction.answers import PATH_SEPARATOR
from fusionclf.prediction.io.chunks import OutputChunks, Totals
from fusionclf.prediction.io.products import Product
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.io.writers import as_json
from fusionclf.prediction.job import Request, add_listed_classes, column_settings, prepare
from fusionclf.prediction.review import not_accepted, shown_products, write_review

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fusionclf.config import CatalogConfig
    from fusionclf.prediction import Predictor
    from fusionclf.prediction.file_prediction import FilePrediction


def predict(
    request: Request,
    *,
    overwrite: bool = False,
    resume: bool = False,
    cpu: bool = False,
    console: Console | None = None,
) -> Totals | None:
    """Predict every product of a file, chunk by chunk, in constant memory.

    Under `accelerate launch` each process takes its share of the chunks, and the main process joins them.

    Args:
        request: what to predict, and how.
        overwrite, resume: what to do where the output or chunks of it exist.
        cpu: stay on the CPU.
        console: where progress goes.

    Returns:
        What was written; None where the output existed already, and on all but the main process.
    """
    console = console or Console()
    more = f"fusionclf predict --run {request.run} --input MORE_PRODUCTS"
    task = FileTask(request, partial(prepare, request, console=console), more)
    return task.run(overwrite=overwrite, resume=resume, cpu=cpu, console=console)


@dataclass(frozen=True)
class FileTask:
    """A file of products that a run's model turns into another file.

    Attributes:
        request: which products and which run.
        prepare: the input's columns and the model → the work.
        more: the command that a finished output suggests.
    """

    request: Request
    prepare: "Callable[[CatalogConfig, Predictor], FilePrediction]"
    more: str

    def run(self, *, overwrite: bool, resume: bool, cpu: bool, console: Console) -> Totals | None:
        """Arguments and result as of `predict`."""
        from fusionclf.training import make_accelerator  # as torch, it takes long to import

        request = self.request
        columns = column_settings(request.run, request.overrides)
        accelerator = make_accelerator(cpu=cpu)
        console.quiet = console.quiet or not accelerator.is_main_process
        device = str(accelerator.device)
        predictor = load(request.run, part=request.part, device=device, engine=request.engine)
        prediction = self.prepare(columns, predictor)
        totals = _write(prediction, accelerator, overwrite, resume, console)
        if totals is not None:
            _report_totals(console, self.more, prediction.table, prediction.output, totals)
            if request.review is not None:
                shown = shown_products(request.source, columns, request.pictures)
                wrote = write_review(request.review, shown, predictor, not_accepted(prediction.output.out))
                console.info(f"not accepted: wrote {wrote}")
        return totals


def _write(
    prediction: "FilePrediction", accelerator: "Accelerator", overwrite: bool, resume: bool, console: Console
) -> Totals | None:
    """What was written; None where the output existed already, and on all but the main process."""
    output = prediction.output
    for note in prediction.table.notes:
        console.warn(note)
    with locked_output(output.out) if accelerator.is_main_process else nullcontext():
        if not _begin(output, accelerator, overwrite, resume):
            console.info(
                f"{output.out}: exists already and is not changed, nor checked against this run, input and "
                "settings; --overwrite replaces it"
            )
            return None
        started = time.perf_counter()
        count = prediction.run(accelerator, console)
        accelerator.wait_for_everyone()
        accelerator.end_training()
        if not accelerator.is_main_process:
            return None
        return replace(output.join(count), seconds=time.perf_counter() - started)


def _begin(output: OutputChunks, accelerator: "Accelerator", overwrite: bool, resume: bool) -> bool:
    """Whether there is something to do; the main process decides."""
    if accelerator.is_main_process:
        output.begin(overwrite=overwrite, resume=resume)
    accelerator.wait_for_everyone()
    if output.is_begun():
        return True
    if not output.out.is_file():
        raise RunError(
            f"{output.out}: does not exist on this machine; give an output folder that all machines share"
        )
    return False


def predict_one(
    model: RunModel,
    product: Product[Path],
    *,
    rule: DecisionRule,
    classes: Path | None = None,
    only: bool = False,
    as_json_text: bool = False,
) -> Answers:
    """Predict one product and print a small table, or JSON."""
    predictor = model.load()
    add_listed_classes(predictor, classes, only)
    answers = predictor.predict(
        [product.images], [product.title], product.columns,
        top_k=rule.top_k, min_probability=rule.min_probability,
        target_precision=rule.target_precision,
    )  # fmt: skip
    if as_json_text:
        print(json_text(as_json(answers, 0)))
    else:
        _print_table(answers, rule, RichConsole(highlight=False))
    return answers


def _report_totals(
    console: Console, more: str, table: ProductTable, output: OutputChunks, totals: Totals
) -> None:
    if table.folder is not None and (note := table.folder.note()):
        console.warn(note)
    abstained = f", {totals.abstained:,} of them abstained" if totals.abstained else ""
    rate = f"; {totals.new / max(totals.seconds, 1e-9):,.0f} products/s" if totals.new else ""
    console.info(f"wrote {output.out}: {totals.answered:,} products{abstained}{rate}")
    if totals.missing.count:
        rows = totals.answered + totals.faults
        have = (
            "product has" if rows == 1 else "products has" if totals.missing.count == 1 else "products have"
        )
        console.warn(f"{totals.missing.count:,} of {rows:,} {have} no picture: {totals.missing}")
    _report_further(console, totals)
    if totals.faults:
        rows = "1 row has" if totals.faults == 1 else f"{totals.faults:,} rows have"
        console.warn(f"{rows} no answer; {output.faults_file} lists the reasons")
        console.info("next: fix these rows and run the same command with --overwrite")
    else:
        console.info(f"next: {more}")


def _report_further(console: Console, totals: Totals) -> None:
    """What of the further pictures of products with several was not read."""
    if (further := totals.missing_further).count:
        console.warn(f"{further.count:,} pictures of products that have another one are missing: {further}")
    if totals.unread:
        console.warn(
            f"{totals.unread:,} products: some of their pictures cannot be decoded; the others are read"
        )
    if totals.cut:
        console.warn(
            f"{totals.cut:,} products have more than {MOST_PICTURES} pictures; the first ones are read"
        )


def _print_table(answers: Answers, rule: DecisionRule, out: RichConsole) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    table.add_column("probability", justify="right")
    for label, probability in zip(answers.labels[0], answers.label_probabilities[0], strict=True):
        table.add_row(escape(printable(label)), f"{100 * probability:.2f} %")
    out.print(table)
    if answers.paths[0]:
        out.print(f"path: {escape(printable(PATH_SEPARATOR.join(answers.paths[0])))}")
    if rule.target_precision is not None:
        sure = PATH_SEPARATOR.join(filter(None, answers.answered[0])) or "nothing"
        out.print(f"sure at {100 * rule.target_precision:g} %: {escape(printable(sure))}")
    for column, found in answers.further.items():
        value, probability = found.value(0), 100 * float(found.probabilities[0])
        shown = f"{value} ({probability:.2f} %)" if value else "no answer"
        out.print(f"{escape(printable(column))}: {escape(printable(shown))}")
    out.print(f"decision: {answers.decisions[0]}")
    out.print(f"picture: {answers.picture_status[0]}, title: {answers.title_status[0]}")
