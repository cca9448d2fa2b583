"""`fusionclf export`: a finished run → its network as ONNX or torch.export, checked against the original."""

from dataclasses import dataclass
from pathlib import Path

from fusionclf.console import Console
from fusionclf.errors import PredictionError, RunError
from fusionclf.export.check import TOLERANCE, Check, compare, select_test_products
from fusionclf.export.manifest import DESCRIPTION
from fusionclf.export.writing import Kind, in_float32, write_export
from fusionclf.files import locked_output, replacing_folder, write_json
from fusionclf.prediction import load
from fusionclf.prediction.network import NetworkModel


@dataclass(frozen=True)
class ExportRequest:
    """What to export.

    Attributes:
        run: the run folder, of a network.
        out: the folder to make.
        kind: "onnx", or "torch" for a program of torch.export.
        part: which of the run's models.
        data: the catalog's folder, if it was moved.
        products: number of test products of the check.
    """

    run: Path
    out: Path
    kind: Kind = "onnx"
    part: str | None = None
    data: Path | None = None
    products: int = 200


def export(request: ExportRequest, *, overwrite: bool = False, console: Console | None = None) -> Check:
    """Write a run's network for other programs, in float32, after a check on test products of its catalog.

    Args:
        request: what to export.
        overwrite: replace an export that `out` holds.
        console: where progress goes.

    Raises:
        RunError: `out` exists, another command writes there, or the run or its catalog cannot be used.
        PredictionError: the network cannot be exported, or the export differs from the original.
    """
    console = console or Console()
    with locked_output(request.out):
        _check_out(request.out, overwrite)
        check = _write_checked(request, request.out.absolute(), console)
    console.info(
        f"wrote {request.out}: {check.same_top1} of {check.products} test products have the same predicted class; "
        f"probabilities differ by at most {check.largest_difference:.1e}"
    )
    if check.same_as_predict < check.products:
        console.info(
            f"predict on this machine computes in bfloat16: {check.same_as_predict} of {check.products} the same as "
            "this export, which computes in float32"
        )
    return check


def _check_out(out: Path, overwrite: bool) -> None:
    if out.exists() and not (out.is_dir() and ((out / DESCRIPTION).is_file() or not any(out.iterdir()))):
        raise RunError(f"{out}: holds other files; give a new folder by --out")
    if (out / DESCRIPTION).is_file() and not overwrite:
        raise RunError(f"{out}: holds an export already; --overwrite replaces it")


def _write_checked(request: ExportRequest, out: Path, console: Console) -> Check:
    run, kind = request.run, request.kind
    predictor = load(run, part=request.part, device="cpu")
    model = predictor.model
    if not isinstance(model, NetworkModel):
        raise PredictionError(
            f"{run}: is a baseline, which cannot be exported; its model is {run / 'model'}/{predictor.part}.skops"
        )
    if model.decision is not None:
        raise PredictionError(
            f"{run}: predicts several labels per product, which exports do not support; use fusionclf predict"
        )
    pictures, fields, several = select_test_products(
        run, predictor.part, request.data, model, request.products
    )
    products = predictor.read(pictures, fields)
    with replacing_folder(out, overwrite=True) as aside:
        console.info(f"export {predictor.part} of {run} as {kind}")
        plain = in_float32(run, predictor.part, model)
        expected = plain.probabilities(products.pictures, products.fields)  # `write_export` changes the model
        description = write_export(aside, kind, run, predictor, plain, several_pictures=several)
        as_predicted = model.probabilities(products.pictures, products.fields)
        check = compare(aside, products, expected, as_predicted)
        if not check.passed:
            raise PredictionError(
                f"{out}: not written, because the export differs from the run: {check.same_top1} of "
                f"{check.products} predicted classes are the same, probabilities differ by up to "
                f"{check.largest_difference:.2g} (allowed: all, {TOLERANCE:g}); use `fusionclf predict`"
            )
        write_json(aside / DESCRIPTION, description | {"check": vars(check)})
    return check
