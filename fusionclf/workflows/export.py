"""`fusionclf export`: a finished run → its tensors' part as ONNX or torch.export, checked against the original."""

import logging
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from fusionclf.catalog import Catalog, Split, read_catalog
from fusionclf.console import Console
from fusionclf.errors import CatalogError, PredictionError, RunError
from fusionclf.export.manifest import (
    DESCRIPTION,
    FILES,
    OUTPUT,
    SENTENCES,
    TOKENIZER,
    Description,
    Output,
    describe_inputs,
    describe_missing,
    describe_names,
    describe_pictures,
    describe_titles,
    fusionclf_version,
    has_length,
)
from fusionclf.export.runtime import open_exported
from fusionclf.export.tensor_model import SentenceModel, TensorModel, sentence_encoder
from fusionclf.files import locked_output, replacing_folder, write_json
from fusionclf.prediction import Predictor, Products, load
from fusionclf.prediction.network import NetworkModel

Kind = Literal["onnx", "torch"]
TOLERANCE = 1e-3  # of probabilities
SEED = 0


@dataclass(frozen=True)
class Check:
    """An export beside its original, on the same test products.

    Attributes:
        products: how many.
        same_top1: of how many the first class is the same.
        largest_difference: of a probability.
        same_as_predict: of how many `predict` at the run's own precision names the same class.
    """

    products: int
    same_top1: int
    largest_difference: float
    same_as_predict: int

    @property
    def passed(self) -> bool:
        return self.same_top1 == self.products and self.largest_difference <= TOLERANCE


def export(
    run: Path,
    out: Path,
    *,
    kind: Kind = "onnx",
    part: str | None = None,
    data: Path | None = None,
    products: int = 200,
    overwrite: bool = False,
    console: Console | None = None,
) -> Check:
    """Write a run's model for other programs, in float32, after a check on test products of its catalog.

    Args:
        run: the run folder, of a network.
        out: the folder to make.
        kind: "onnx", or "torch" for a program of torch.export.
        part: which of the run's models.
        data: the catalog's folder, where it was moved.
        products: how many test products to check it on.
        overwrite: replace an export that `out` holds.
        console: where progress goes.

    Raises:
        RunError: there is something at `out`, another command writes there, or the run or its catalog cannot be used.
        PredictionError: the model cannot be exported, or the export answers otherwise than the original.
    """
    console = console or Console()
    with locked_output(out):
        _check_out(out, overwrite)
        check = _export(run, out.absolute(), kind, part, data, products, console)
    console.info(
        f"wrote {out}: {check.same_top1} of {check.products} test products get the same first class, probabilities at "
        f"most {check.largest_difference:.1e} apart"
    )
    if check.same_as_predict < check.products:
        console.info(
            f"predict on this machine computes in bfloat16: {check.same_as_predict} of {check.products} the same as "
            "this export, which computes in float32"
        )
    return check


def _export(
    run: Path, out: Path, kind: Kind, part: str | None, data: Path | None, products: int, console: Console
) -> Check:
    predictor = load(run, part=part, device="cpu")
    model = predictor.model
    if not isinstance(model, NetworkModel):
        raise PredictionError(
            f"{run}: is a baseline, which has no tensors to export; its model is {run / 'model'}/{predictor.part}.skops"
        )
    shown, titles = _test_products(run, predictor.part, data or Path(model.settings.data), model, products)
    asked = predictor.read(shown, titles)
    with replacing_folder(out, overwrite=True) as aside:
        console.info(f"export {predictor.part} of {run} as {kind}")
        plain = _in_float32(run, predictor.part, model)
        expected = plain.probabilities(asked.pictures, asked.titles)  # `_write` changes the model
        description = _write(aside, kind, run, predictor, plain)
        check = _compare(aside, asked, expected, model.probabilities(asked.pictures, asked.titles))
        if not check.passed:
            raise PredictionError(
                f"{out}: not written, for the export answers otherwise than the run: {check.same_top1} of "
                f"{check.products} first classes the same, probabilities up to {check.largest_difference:.2g} apart "
                f"(allowed: all, {TOLERANCE:g}); use `fusionclf predict`"
            )
        write_json(aside / DESCRIPTION, description | {"check": vars(check)})
    return check


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not (out.is_dir() and ((out / DESCRIPTION).is_file() or not any(out.iterdir()))):
        raise RunError(f"{out}: holds other files; give a new folder by --out")
    if (out / DESCRIPTION).is_file() and not overwrite:
        raise RunError(f"{out}: holds an export already; --overwrite replaces it")


def _test_products(
    run: Path, part: str, data: Path, model: NetworkModel, count: int
) -> tuple[list[Path | None], list[str]]:
    """Pictures and titles of some test products that have what the model reads, the same ones each time."""
    try:
        catalog = read_catalog(data, model.settings.catalog)
    except CatalogError as error:
        raise RunError(f"{error}; give the run's catalog by --data") from error
    split = Split.load(run / "split.json")
    if catalog.sha256 != split.catalog_sha256:
        raise RunError(
            f"{data}: is another catalog than the run's (its hash differs); give that one by --data"
        )
    rows = split.rows(catalog, part if part in split.classes else None, "test")
    rows = rows[_complete(catalog, rows, model)]
    if not len(rows):
        raise RunError(f"{run}: no test product that the export could be checked on")
    rows = np.sort(np.random.default_rng(SEED).choice(rows, min(count, len(rows)), replace=False))
    return catalog.picture_paths(rows), catalog.table["title"].iloc[rows].tolist()


def _complete(catalog: Catalog, rows: np.ndarray, model: NetworkModel) -> np.ndarray:
    table = catalog.table.iloc[rows]
    there = np.ones(len(rows), bool)
    if model.cover is not None:
        there &= (table["picture"].fillna("") != "").to_numpy(bool)
    if model.reads_titles:
        there &= catalog.has_title[rows]
    return there


def _in_float32(run: Path, part: str, model: NetworkModel) -> NetworkModel:
    """The same model, added classes included, whose computation is in float32 on the CPU."""
    train = model.settings.train.model_copy(update={"precision": "fp32"})
    return NetworkModel(run / "model", part, model.settings.model_copy(update={"train": train}), "cpu")


def _write(
    folder: Path, kind: Kind, run: Path, predictor: Predictor, network: NetworkModel
) -> dict[str, Any]:
    """Write the model, what embeds titles for it, its tokenizer and their description.

    Args:
        folder: where to write.
        kind: of export.
        run: the run folder, whose tokenizer is copied.
        predictor: names the part and the category paths.
        network: what is exported; it is changed, and no longer fit for other use.

    Returns:
        The description's content.
    """
    settings, original = network.settings, network.model
    names, sentences = original.names, sentence_encoder(original)
    size = (settings.pictures.height, settings.pictures.width)
    tensors = TensorModel(original, network.temperature, size)
    if any(reader["kind"] != "hashed" for reader in tensors.readers):
        shutil.copytree(run / "model" / "text", folder / TOKENIZER)
    outputs = [
        Output(name=OUTPUT if not n else f"{OUTPUT}_{n}", task=task, classes=network.tasks[task])
        for n, task in enumerate(tensors.tasks)
    ]
    if sentences is not None:
        _save(SentenceModel(sentences), folder / SENTENCES[kind], kind, ["sentence"])
    _save(tensors, folder / FILES[kind], kind, [output.name for output in outputs])
    description = Description(
        kind=kind, model=FILES[kind], sentences=SENTENCES[kind] if sentences is not None else None,
        tokenizer=TOKENIZER if (folder / TOKENIZER).is_dir() else None, variant=settings.variant, part=predictor.part,
        fusionclf=fusionclf_version(), inputs=describe_inputs(tensors.inputs), outputs=tuple(outputs),
        pictures=describe_pictures(settings.pictures) if original.image is not None else None,
        titles=describe_titles(tensors.readers), names=describe_names(names),
        missing=describe_missing(tensors.inputs),
        paths={name: tuple(path) for name, path in predictor.paths.items()},
    ).model_dump(mode="json")  # fmt: skip
    write_json(folder / DESCRIPTION, description)
    return description


def _save(module: torch.nn.Module, file: Path, kind: Kind, outputs: Sequence[str]) -> None:
    """Trace a module with any size of batch and any length of title, and write it."""
    inputs: dict[str, Tensor] = module.inputs  # pyright: ignore[reportAssignmentType]
    any_size = torch.export.Dim.DYNAMIC
    dims = tuple({0: any_size, **({1: any_size} if has_length(name) else {})} for name in inputs)
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(
                module, tuple(inputs.values()), dynamic_shapes={"tensors": dims}, strict=False
            )
            if kind == "torch":
                program._example_inputs = None  # would be written, and loaded, as a pickle
                torch.export.save(program, file)
                return
            graph = torch.onnx.export(
                program, (), input_names=list(inputs), output_names=list(outputs), verbose=False
            )
            assert graph is not None
            graph.save(file, external_data=False)
    except ImportError as error:
        raise PredictionError('onnx is not installed; pip install "fusionclf[export]"') from error
    except Exception as error:  # each layer of the exporters has exceptions of its own
        reason = " ".join(str(error).split())[:160]
        raise PredictionError(
            f"this model cannot be exported as {kind} ({type(error).__name__}: {reason}); try the other --format"
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporters' own progress and warnings about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)  # theirs are many loggers
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _compare(folder: Path, asked: Products, plain: np.ndarray, as_predicted: np.ndarray) -> Check:
    """The export in `folder` beside (n, K) probabilities in float32 and at the run's own precision."""
    exported = open_exported(folder).model.probabilities(asked.pictures, asked.titles)
    first = exported.argmax(axis=1)
    return Check(
        len(first),
        int((first == plain.argmax(axis=1)).sum()),
        float(np.abs(exported - plain).max()),
        int((first == as_predicted.argmax(axis=1)).sum()),
    )
