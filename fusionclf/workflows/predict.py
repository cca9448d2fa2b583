"""`fusionclf predict`: a finished run and a file of products → a file of answers."""

import gc
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from rich.console import Console as RichConsole
from rich.markup import escape
from rich.table import Table

from fusionclf.batches import in_thread
from fusionclf.config import CatalogConfig, Section, build_settings, override
from fusionclf.console import Console, json_text, printable
from fusionclf.errors import PredictionError, RunError
from fusionclf.files import is_partial, locked_output
from fusionclf.models.open_vocabulary.added_classes import AddedClass
from fusionclf.prediction import Answers, Predictor, Products, Rule, load
from fusionclf.prediction.answers import PATH_SEPARATOR
from fusionclf.prediction.class_names import read_classes
from fusionclf.prediction.io.chunks import Parts, Totals
from fusionclf.prediction.io.readers import Lot, ProductTable
from fusionclf.prediction.io.writers import as_json
from fusionclf.run_schema import read_config
from fusionclf.training import make_accelerator

TITLE_LOT = 8192  # products without pictures that are answered, and kept, together
LOTS_BYTES = 96 * 10**6  # of pictures that wait for answers or are answered
LEAST_LOT, SHARES = 64, 8
SUFFIX = ".predictions"


class PredictConfig(Section):
    """What can be set after the command."""

    catalog: CatalogConfig = CatalogConfig()


@dataclass(frozen=True)
class Request:
    """A file to answer.

    Attributes:
        run: the run folder.
        source: CSV, Parquet, JSON lines, or a folder of pictures.
        out: the file to make; None for one beside `source`.
        part: which of the run's models.
        rule: what is said of each product.
        pictures: folder below which the pictures are; None for that of `source`.
        overrides: catalog.* settings laid over the run's own.
        classes: a text file of classes that the run may never have seen, one a line.
        only: answer with these classes alone.
    """

    run: Path
    source: Path
    out: Path | None = None
    part: str | None = None
    rule: Rule = field(default_factory=Rule)
    pictures: Path | None = None
    overrides: tuple[str, ...] = ()
    classes: Path | None = None
    only: bool = False


def predict(
    request: Request,
    *,
    overwrite: bool = False,
    resume: bool = False,
    cpu: bool = False,
    console: Console | None = None,
) -> Totals | None:
    """Answer every product of a file, lot by lot, in constant memory.

    Under `accelerate launch` each process takes its share of the lots, and the main process puts them together.

    Args:
        request: what to answer, and how.
        overwrite, resume: what to do where the output or parts of it are there.
        cpu: stay on the CPU.
        console: where progress goes.

    Returns:
        What was written; None where it was there already, and on all but the main process.
    """
    console = console or Console()
    settings = _settings(request)
    accelerator = make_accelerator(cpu=cpu)
    console.quiet = console.quiet or not accelerator.is_main_process
    predictor = load(request.run, part=request.part, device=str(accelerator.device))
    named = _take_in(predictor, request.classes, request.only)
    if request.rule.target_precision is not None:
        predictor.thresholds(
            request.rule.target_precision
        )  # what cannot be graded shows before anything is read
    table = ProductTable(
        request.source, settings.catalog, pictures=request.pictures,
        reads_pictures=predictor.reads_pictures, reads_titles=predictor.reads_titles,
    )  # fmt: skip
    table.check()
    out = request.out or _beside(request.source, table.kind)
    parts = Parts(out, _job(request, settings, predictor, table, named))
    _spare_input(request.source, parts)
    with locked_output(out) if accelerator.is_main_process else nullcontext():
        if not _begin(parts, accelerator, overwrite, resume):
            console.info(
                f"{out}: is there already and stays as it is, whatever run, input and settings it is of; "
                "--overwrite makes it anew"
            )
            return None
        started = time.perf_counter()
        count = _answer_share(table, predictor, request.rule, parts, accelerator, console)
        accelerator.wait_for_everyone()
        accelerator.end_training()
        if not accelerator.is_main_process:
            return None
        totals = replace(parts.finish(count), seconds=time.perf_counter() - started)
    if table.folder is not None and (note := table.folder.note()):
        console.warn(note)
    _say_totals(console, request, parts, totals)
    return totals


def predict_one(
    run: Path,
    *,
    image: Path | None = None,
    title: str | None = None,
    rule: Rule,
    part: str | None = None,
    classes: Path | None = None,
    only: bool = False,
    cpu: bool = False,
    as_json_text: bool = False,
) -> Answers:
    """Answer one product and print a small table, or JSON."""
    predictor = load(run, part=part, device="cpu" if cpu else None)
    _take_in(predictor, classes, only)
    answers = predictor.predict(
        [image], [title], top_k=rule.top_k, min_probability=rule.min_probability,
        target_precision=rule.target_precision,
    )  # fmt: skip
    if as_json_text:
        print(json_text(as_json(answers, 0)))
    else:
        _print_table(answers, rule, RichConsole(highlight=False))
    return answers


def _take_in(predictor: Predictor, classes: Path | None, only: bool) -> list[AddedClass]:
    """The classes of a file, which the predictor knows then; none where no file is given."""
    if classes is None:
        if only:
            raise PredictionError("--only: which classes? give --classes FILE")
        return []
    named = read_classes(classes, predictor.open_network().every)
    predictor.take_in(named, only=only)
    return named


def _settings(request: Request) -> PredictConfig:
    """The run's own column map with the overrides laid over it."""
    file = request.run / "config.yaml"
    if not file.is_file():
        raise RunError(f"{request.run}: no run folder (no config.yaml); give one by --run")
    values: dict[str, Any] = {"catalog": read_config(request.run)["catalog"]}
    values = override(PredictConfig, values, request.overrides)
    return build_settings(PredictConfig, values)


def _beside(source: Path, kind: str) -> Path:
    """products.csv → products.predictions.csv."""
    if kind == "folder":
        whole = source.absolute()
        return whole.with_name(f"{whole.name}{SUFFIX}.csv")
    return source.with_name(f"{source.stem}{SUFFIX}{source.suffix}")


def _spare_input(source: Path, parts: Parts) -> None:
    """Raises PredictionError where the input is one of the files to be made."""
    if parts.out.exists() and parts.out.samefile(source):
        raise PredictionError(f"{parts.out}: is the input; give another --out")
    if parts.faults_file.exists() and parts.faults_file.samefile(source):
        raise PredictionError(
            f"{source}: is where --out {parts.out} puts the rows that have no answer; give another --out"
        )


def _job(
    request: Request,
    settings: PredictConfig,
    predictor: Predictor,
    table: ProductTable,
    named: Sequence[AddedClass],
) -> dict[str, Any]:
    """All that the answers, and their division into lots, depend on."""
    stat = request.source.stat()
    models = sorted(path for path in (request.run / "model").rglob("*") if not is_partial(path))
    return {
        "run": str(request.run.resolve()),
        "model": [
            [file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in models if file.is_file()
        ],
        "part": predictor.part,
        "input": [str(request.source.resolve()), stat.st_size, stat.st_mtime_ns],
        "pictures": table.root,
        "classes": list(predictor.classes),
        "named": {new.name: {"place": new.place, "synonyms": new.synonyms} for new in named},
        "columns": settings.catalog.model_dump(mode="json"),
        "top_k": request.rule.top_k,
        "min_probability": request.rule.min_probability,
        "target_precision": request.rule.target_precision,
        "lot": _lot_size(predictor, table),
        "fusionclf": version("fusionclf"),
    }


def _lot_size(predictor: Predictor, table: ProductTable) -> int:
    """A short file is divided, too, so that several threads and processes have a share in it."""
    most = predictor.picture_lot if predictor.reads_pictures else TITLE_LOT
    return min(most, max(LEAST_LOT, -(-table.count // SHARES)))


def _begin(parts: Parts, accelerator: Accelerator, overwrite: bool, resume: bool) -> bool:
    """Whether there is something to do; the main process decides."""
    if accelerator.is_main_process:
        parts.begin(overwrite=overwrite, resume=resume)
    accelerator.wait_for_everyone()
    if parts.is_begun():
        return True
    if not parts.out.is_file():
        raise RunError(
            f"{parts.out}: not there on this machine; give an output folder that all machines share"
        )
    return False


def _answer_share(
    table: ProductTable,
    predictor: Predictor,
    rule: Rule,
    parts: Parts,
    accelerator: Accelerator,
    console: Console,
) -> int:
    """Answer this process's lots that are not answered yet; how many lots the file has."""
    rank, world = accelerator.process_index, accelerator.num_processes
    count, done = 0, 0

    def own(number: int) -> bool:
        return number % world == rank and not parts.has(number)

    def read() -> Iterator[tuple[Lot, Products | None]]:
        for lot in table.lots(_lot_size(predictor, table), own):
            yield lot, predictor.read(lot.pictures, lot.titles) if own(lot.number) else None

    def answer(lot: Lot, products: Products) -> None:
        parts.keep(lot, predictor.answer(products, rule))

    total = table.count
    asked: deque[tuple[Future[None], int]] = deque()  # with the bytes of its pictures
    with (
        console.bar("predict", total) as step,
        _settled_heap(),
        _workers(accelerator.device) as (pool, workers),
    ):
        # While lots are answered and written, pictures of the next one are decoded.
        for lot, products in in_thread(read(), 1) if predictor.reads_pictures else read():
            if products is not None:
                asked.append((pool.submit(answer, lot, products), products.picture_bytes))
            del products  # its pictures are freed with its answer
            while len(asked) > workers or sum(size for _, size in asked) > LOTS_BYTES:
                asked.popleft()[0].result()
            count = lot.number + 1
            done += len(lot.ids) + len(lot.faults)
            step(done, max(total, done))
        while asked:
            asked.popleft()[0].result()
    return count


@contextmanager
def _workers(device: torch.device) -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads that answer a lot each, and how many they are.

    Small batches keep a processor's cores busier one by one than together.
    """
    before = torch.get_num_threads()
    workers = before if device.type == "cpu" else 1
    alone = partial(torch.set_num_threads, 1) if workers > 1 else None
    try:
        with ThreadPoolExecutor(workers, initializer=alone) as pool:
            yield pool, workers
    finally:
        torch.set_num_threads(before)


@contextmanager
def _settled_heap() -> Iterator[None]:
    """What is loaded by now stays: the garbage collector need not walk through it while lots come and go."""
    already = gc.get_freeze_count() > 0  # by the program around this one
    if not already:
        gc.freeze()
    try:
        yield
    finally:
        if not already:
            gc.unfreeze()


def _say_totals(console: Console, request: Request, parts: Parts, totals: Totals) -> None:
    abstained = f", {totals.abstained:,} of them abstained" if totals.abstained else ""
    rate = f"; {totals.new / max(totals.seconds, 1e-9):,.0f} products/s" if totals.new else ""
    console.info(f"wrote {parts.out}: {totals.answered:,} products{abstained}{rate}")
    if totals.missing.count:
        rows = totals.answered + totals.faults
        have = (
            "product has" if rows == 1 else "products has" if totals.missing.count == 1 else "products have"
        )
        console.warn(f"{totals.missing.count:,} of {rows:,} {have} no picture: {totals.missing}")
    if totals.faults:
        rows = "1 row has" if totals.faults == 1 else f"{totals.faults:,} rows have"
        console.warn(f"{rows} no answer; {parts.faults_file} says why")
        console.info("next: mend these rows and give the same command with --overwrite")
    else:
        console.info(f"next: fusionclf predict --run {request.run} --input MORE_PRODUCTS")


def _print_table(answers: Answers, rule: Rule, out: RichConsole) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column("class")
    table.add_column("probability", justify="right")
    for label, probability in zip(answers.labels[0], answers.probabilities[0].tolist(), strict=True):
        table.add_row(escape(printable(label)), f"{100 * probability:.2f} %")
    out.print(table)
    if answers.paths[0]:
        out.print(f"path: {escape(printable(PATH_SEPARATOR.join(answers.paths[0])))}")
    if rule.target_precision is not None:
        sure = PATH_SEPARATOR.join(filter(None, answers.answered[0])) or "nothing"
        out.print(f"sure at {100 * rule.target_precision:g} %: {escape(printable(sure))}")
    out.print(f"decision: {answers.decisions[0]}")
    out.print(f"picture: {answers.picture_status[0]}, title: {answers.title_status[0]}")
