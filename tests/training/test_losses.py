"""Losses and class weights, against PyTorch's and by hand."""

import numpy as np
import torch
from torch.nn import functional as F

from fusionclf.training.losses import WeightedCrossEntropy, inverse_frequency_weights

TARGETS = np.array([0, 0, 0, 1, 2, -1])


def test_inverse_frequency_weights_by_hand() -> None:
    weights = inverse_frequency_weights(TARGETS, 4)
    assert torch.allclose(weights, torch.tensor([5 / 16, 5 / 8, 5 / 8, 5 / 4]))


def test_sum_over_total_equals_torchs_weighted_mean() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    weights = inverse_frequency_weights(TARGETS, 4)
    loss = WeightedCrossEntropy(weights)
    expected = F.cross_entropy(logits, torch.from_numpy(TARGETS), weights, ignore_index=-1)
    assert torch.allclose(loss(logits, torch.from_numpy(TARGETS)) / loss.total(TARGETS), expected)


def test_halves_of_a_batch_add_up_to_the_batch() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    loss = WeightedCrossEntropy(torch.tensor([1.0, 2.0, 3.0, 4.0]), label_smoothing=0.1)
    targets = torch.from_numpy(TARGETS)
    halves = loss(logits[::2], targets[::2]) + loss(logits[1::2], targets[1::2])
    assert torch.allclose(halves, loss(logits, targets))


def test_label_smoothing_is_torchs() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    loss = WeightedCrossEntropy(torch.ones(4), label_smoothing=0.2)
    expected = F.cross_entropy(logits, torch.from_numpy(TARGETS), ignore_index=-1, label_smoothing=0.2)
    assert torch.allclose(loss(logits, torch.from_numpy(TARGETS)) / loss.total(TARGETS), expected)


def test_focal_loss_by_hand() -> None:
    logits = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.from_numpy(TARGETS)
    found = WeightedCrossEntropy(torch.tensor([1.0, 2.0, 3.0, 4.0]), focal_gamma=2.0)(logits, targets)
    p = logits.softmax(1)
    expected = sum(
        -(n + 1) * (1 - p[i, n]) ** 2 * torch.log(p[i, n]) for i, n in enumerate(TARGETS.tolist()) if n >= 0
    )
    assert torch.allclose(found, torch.as_tensor(expected))
