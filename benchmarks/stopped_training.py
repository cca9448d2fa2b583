"""A fusion training that stops where held-out rows would be predicted."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from fusionclf.config.shipped import find_config
from fusionclf.stacking import fitting
from fusionclf.workflows.settings import ExistingRun
from fusionclf.workflows.train import TrainOptions, train


class Finished(Exception):
    """What was wanted is there; the rest of the training is not needed."""


def train_up_to_held_out(use: Callable[..., None], out: Path, data: Path, settings: list[str]) -> None:
    """Train as `fusionclf train fusion --config fusion-frozen`, and call `use` in place of `predict_out_of_fold`."""

    def instead(*args: Any) -> None:
        use(*args)
        raise Finished

    fitting.predict_out_of_fold = instead  # pyright: ignore
    options = TrainOptions(find_config("fusion-frozen"), ExistingRun(overwrite=True))
    with suppress(Finished):
        train("fusion", data, out, overrides=tuple(settings), options=options)
