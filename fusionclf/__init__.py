"""Classify catalog products from their picture and their title, and compare models fairly."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fusionclf.prediction import Predictor

__version__ = version("fusionclf")


def load(run: str | Path, *, part: str | None = None, device: str | None = None) -> "Predictor":
    """The model of a finished run, ready to be asked.

    Args:
        run: the run folder, of a network or of a baseline.
        part: which of its models; default: the one over all classes (`joint`), or the only one.
        device: such as "cpu" or "cuda:1"; default: a GPU where there is one.

    Raises:
        RunError: the folder is no finished run, has several models and `part` names none of them, or is damaged.

    >>> import fusionclf
    >>> fusionclf.load("runs/linear").predict(titles=["Women Red Dress"]).labels[0][0]
    'Dresses'
    """
    from fusionclf.prediction import load as open_run  # torch, which `import fusionclf` must not wait for

    return open_run(run, part=part, device=device)
