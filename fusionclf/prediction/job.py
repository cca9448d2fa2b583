"""What to predict and how: a request, its settings, its output file and the job that its chunks belong to."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fusionclf.config import CatalogConfig, Overrides, Section, build_settings, override
from fusionclf.console import Console
from fusionclf.errors import PredictionError
from fusionclf.files import is_partial
from fusionclf.prediction.answers import DecisionRule
from fusionclf.prediction.io.chunks import OutputChunks
from fusionclf.prediction.io.embedding_files import embedding_format, model_key
from fusionclf.prediction.io.readers import ProductTable
from fusionclf.prediction.io.writers import SUFFIXES
from fusionclf.prediction.model import check_one_label
from fusionclf.prediction.predictor import Predictor
from fusionclf.run_schema import read_config
from fusionclf.runfolder import check_is_run

if TYPE_CHECKING:
    from fusionclf.models.added_classes import AddedClass
    from fusionclf.models.engine import Choice
    from fusionclf.prediction.class_files import ClassList
    from fusionclf.prediction.file_prediction import FilePrediction

SUFFIX = ".predictions"


class ColumnSettings(Section):
    """Settings that a command on products takes after its options."""

    catalog: CatalogConfig = CatalogConfig()


@dataclass(frozen=True)
class Request:
    """A file to predict.

    Attributes:
        run: the run folder.
        source: CSV, Parquet, JSON lines, or a folder of pictures.
        out: the file to make; None for one beside `source`.
        part: which of the run's models.
        rule: how probabilities become a decision.
        pictures: folder below which the pictures are; None for that of `source`.
        overrides: catalog.* settings laid over the run's own.
        classes: a text file of further classes, one a line.
        only: predict only the classes of that file.
        engine: what runs the encoders; None: as train.engine of the run's settings.
        review: folder for what is not accepted, to be checked by people; None for none.
    """

    run: Path
    source: Path
    out: Path | None = None
    part: str | None = None
    rule: DecisionRule = field(default_factory=DecisionRule)
    pictures: Path | None = None
    overrides: Overrides = ()
    classes: Path | None = None
    only: bool = False
    engine: "Choice | None" = None
    review: Path | None = None


def prepare(
    request: Request, columns: CatalogConfig, predictor: Predictor, console: Console | None = None
) -> "FilePrediction":
    """A request whose table is opened and checked; nothing is written.

    Args:
        request: what to predict, and how.
        columns: the input's columns, from `column_settings`.
        predictor: the run's model.
        console: where notes on the file of classes go.

    Raises:
        PredictionError: the input cannot be read, or a file to be made is the input.
        SettingsError, RunError: the target precision cannot be used.
    """
    from fusionclf.prediction.file_prediction import FilePrediction  # as torch, it takes long to import

    listed = add_listed_classes(predictor, request.classes, request.only)
    if listed is not None and console is not None:
        for note in listed.notes():
            console.info(note)
    if request.review is not None:
        check_one_label(predictor.model, "--review")
    if request.rule.target_precision is not None:
        found = predictor.thresholds(
            request.rule.target_precision
        )  # shows before the input is read that it has none
        if console is not None and found.unseen_share:
            console.info(
                f"the target precision holds if at most {100 * found.unseen_share:g} % of the products are of classes "
                "without a training product; if you expect fewer, train with model.unseen_share to accept more"
            )
        if console is not None and (note := threshold_note(predictor)):
            console.warn(note)
    table = open_products(request.source, columns, predictor, request.pictures)
    out = request.out or default_output(request.source)
    output = OutputChunks(out, _job(request, predictor, table, listed.classes if listed else ()))
    _refuse_input_as_output(request.source, output)
    return FilePrediction(table, predictor, lambda own: predictor.predict_products(own, request.rule), output)


def threshold_note(predictor: Predictor) -> str:
    """A note that a target precision is not guaranteed for added classes; "" where none are."""
    added = len(predictor.added)
    if not added:
        return ""
    return (
        f"the target precision holds for products of the {len(predictor.classes) - added:,} trained classes; "
        f"held-out products show nothing about the {added:,} added ones: these are never accepted, and "
        "a product of theirs that gets a trained class may be accepted"
    )


def prepare_embeddings(
    request: Request, columns: CatalogConfig, predictor: Predictor, *, probabilities: bool = True
) -> "FilePrediction":
    """As `prepare`, for embeddings; the request's rule does not count.

    Args:
        request: what to embed, and where the output goes.
        columns, predictor: as of `prepare`.
        probabilities: whether the output holds the probabilities of all classes, too.

    Raises:
        PredictionError: as of `prepare`.
        RunError: the model reads no input.
    """
    from fusionclf.prediction.file_prediction import FilePrediction  # as torch, it takes long to import

    assert request.out is not None
    written = embedding_format(request.out, model_key(request.run, predictor.part))
    table = open_products(request.source, columns, predictor, request.pictures)
    job = _job(request, predictor, table, ()) | {"embeddings": {"probabilities": probabilities}}
    output = OutputChunks(request.out, job, written)
    _refuse_input_as_output(request.source, output)
    answer = partial(predictor.embed_products, probabilities=probabilities)
    return FilePrediction(table, predictor, answer, output, "embed")


def open_products(
    source: Path, columns: CatalogConfig, predictor: Predictor, pictures: Path | None = None
) -> ProductTable:
    """The products of a file or folder, checked, with the inputs that a model reads.

    Raises:
        CatalogError, PredictionError: as of ProductTable.
    """
    table = ProductTable(
        source, columns, pictures=pictures,
        reads_pictures=predictor.reads_pictures, reads_titles=predictor.reads_titles, further=predictor.fields,
    )  # fmt: skip
    table.check()
    return table


def column_settings(run: Path, overrides: Overrides) -> CatalogConfig:
    """The run's own column map with `overrides` laid over it.

    How the text of the run's catalog was written says nothing about other files: delimiter and encoding of these are
    recognised, unless `overrides` name them.

    Raises:
        RunError: `run` is no run folder.
        SettingsError: an override is unknown or has a bad value.
    """
    check_is_run(run)
    own = {**read_config(run)["catalog"], "delimiter": "auto", "encoding": "auto"}
    values: dict[str, Any] = {"catalog": own}
    return build_settings(ColumnSettings, override(ColumnSettings, values, overrides)).catalog


def add_listed_classes(predictor: Predictor, classes: Path | None, only: bool) -> "ClassList | None":
    """The classes of a file, added to the predictor; None without a file.

    Raises:
        PredictionError: the file cannot be used, or `only` is given without a file.
        RunError: the model's classes are fixed.
    """
    if classes is None:
        if only:
            raise PredictionError("--only: needs --classes FILE")
        return None
    from fusionclf.prediction.class_files import read_classes  # as torch, it takes long to import

    listed = read_classes(classes, predictor.open_network().every, predictor.paths)
    predictor.extend_classes(listed.classes, only=only)
    return listed


def default_output(source: Path) -> Path:
    """The output file beside the input: products.csv → products.predictions.csv; of a folder or text file, CSV, too.

    >>> str(default_output(Path("shop/products.jsonl"))), str(default_output(Path("products.tsv.gz")))
    ('shop/products.predictions.jsonl', 'products.predictions.csv')
    """
    if source.is_dir():
        whole = source.absolute()
        return whole.with_name(f"{whole.name}{SUFFIX}.csv")
    plain = source.with_suffix("") if source.suffix.lower() == ".gz" else source
    known = plain.suffix.lower() in SUFFIXES
    return plain.with_name(f"{plain.stem}{SUFFIX}{plain.suffix if known else '.csv'}")


def _refuse_input_as_output(source: Path, output: OutputChunks) -> None:
    """Raises PredictionError where the input is one of the files to be made."""
    if output.out.exists() and output.out.samefile(source):
        raise PredictionError(f"{output.out}: is the input; give another --out")
    if output.faults_file.exists() and output.faults_file.samefile(source):
        raise PredictionError(
            f"{source}: is also the file of rows without a prediction of --out {output.out}; give another --out"
        )


def _job(
    request: Request, predictor: Predictor, table: ProductTable, added: "Sequence[AddedClass]"
) -> dict[str, Any]:
    """Everything that the predictions, and their division into chunks, depend on."""
    from fusionclf.prediction.file_prediction import chunk_size

    rule = request.rule
    one_label = predictor.model.decision is None
    return {
        "run": str(request.run.resolve()),
        "model": model_state(request.run),
        "part": predictor.part,
        "input": {"path": str(request.source.resolve()), **_input_state(table)},
        "pictures": table.root,
        "classes": list(predictor.classes),
        "named": {new.name: {"place": new.place, "synonyms": new.synonyms} for new in added},
        "ids": predictor.ids,
        "columns": table.columns.model_dump(mode="json"),
        "top_k": request.rule.top_k,
        "min_probability": rule.accepted_from if one_label else rule.min_probability,
        "target_precision": request.rule.target_precision,
        "lot": chunk_size(predictor, table),
        "fusionclf": version("fusionclf"),
    }


def _input_state(table: ProductTable) -> dict[str, int | str]:
    """Size and modification time of the input file; for a folder, the state of all its files."""
    if table.folder is not None:
        return table.folder.state()
    found = table.source.stat()
    return {"size": found.st_size, "mtime_ns": found.st_mtime_ns}


def model_state(run: Path) -> list[list[str | int]]:
    """Name, size and modification time of each file of a run's models and added classes."""
    files = sorted(path for path in (run / "model").rglob("*") if not is_partial(path))
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files if file.is_file()]
