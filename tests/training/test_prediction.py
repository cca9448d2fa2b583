"""Logits of fewer rows than there are processes."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from fusionclf.training import make_accelerator, predict_logits
from fusionclf.training.prediction import predict_tasks
from tests.training.small_stage import CLASSES, picture_model, picture_source


def one_of_three(rank: int) -> Any:
    """One of three processes; it fails where it waits for the others."""
    return SimpleNamespace(
        process_index=rank, num_processes=3, device=torch.device("cpu"), autocast=nullcontext
    )


@pytest.mark.parametrize("rank", [0, 1, 2])
@pytest.mark.parametrize("rows", [[], [7], [7, 3]])
def test_each_process_predicts_all_of_too_few_rows(rows: list[int], rank: int) -> None:
    model, source, chosen = picture_model(), picture_source(), np.array(rows, np.int64)
    alone = make_accelerator("fp32", cpu=True)
    found = predict_tasks(model, source, chosen, one_of_three(rank), {"label": CLASSES})["label"]
    assert torch.equal(found, predict_tasks(model, source, chosen, alone, {"label": CLASSES})["label"])
    progress: list[tuple[int, int]] = []
    predict_logits(model, source, chosen, one_of_three(rank), lambda *step: progress.append(step))
    assert progress == [(len(rows), len(rows))][: len(rows)]
