"""`fusionclf embed`: a finished run and a file of products → a file of embeddings."""

from functools import partial

from fusionclf.console import Console
from fusionclf.errors import PredictionError
from fusionclf.prediction.io.chunks import Totals
from fusionclf.prediction.job import Request, prepare_embeddings
from fusionclf.workflows.predict import FileTask


def embed(
    request: Request,
    *,
    probabilities: bool = True,
    overwrite: bool = False,
    resume: bool = False,
    cpu: bool = False,
    console: Console | None = None,
) -> Totals | None:
    """Embed every product of a file, chunk by chunk, in constant memory; arguments and result as of `predict`.

    Args:
        request: what to embed, and where to write it; its rule and its classes do not count.
        probabilities: whether to write the probabilities of all classes, too.
        overwrite, resume, cpu, console: as of `predict`.

    Raises:
        PredictionError: there is no output, or its suffix is of no format for embeddings; or as of `predict`.
        RunError: the run reads no input.
    """
    if request.out is None:
        raise PredictionError("--out is missing; give a name that ends in .parquet or .npz")
    more = f"fusionclf similar --input {request.out} --out duplicates.csv"
    task = FileTask(request, partial(prepare_embeddings, request, probabilities=probabilities), more)
    return task.run(overwrite=overwrite, resume=resume, cpu=cpu, console=console or Console())
