"""The linear probe: how often it is shown its rows."""

import pytest
import torch
from torch.nn import functional as F

from fusionclf.models.open_vocabulary import linear_probe
from fusionclf.models.open_vocabulary.linear_probe import EPOCHS, LEAST_STEPS, fit_linear_probe


@pytest.mark.parametrize(
    ("rows", "batch", "epochs"), [(6500, 256, EPOCHS), (1000, 40, EPOCHS), (90, 32, LEAST_STEPS // 3)]
)
def test_few_rows_are_shown_in_smaller_batches(
    rows: int, batch: int, epochs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = F.cross_entropy

    def watched(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        sizes.append(len(targets))
        return real(logits, targets)

    monkeypatch.setattr(linear_probe.F, "cross_entropy", watched)
    fit_linear_probe(torch.randn(rows, 4), torch.arange(rows) % 3, 3)
    assert max(sizes) == batch
    assert sum(sizes) == rows * epochs
    assert len(sizes) >= LEAST_STEPS


def test_a_probe_of_few_rows_learns_them() -> None:
    targets = torch.arange(60) % 3
    features = F.one_hot(targets, 8).float() + 0.1 * torch.randn(
        60, 8, generator=torch.Generator().manual_seed(0)
    )
    probe = fit_linear_probe(features, targets, 4)
    assert (probe(features).argmax(1) == targets).all()
    assert not probe(features)[:, 3].any()
