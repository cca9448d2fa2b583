"""Losses and class weights, against PyTorch's and by hand."""

import numpy as np
import torch
from torch.nn import functional as F

from fusionclf.batches import ProductSource
from fusionclf.training.losses import BinaryCrossEntropy, WeightedCrossEntropy, inverse_frequency_weights
from fusionclf.training.objective import build_losses
from fusionclf.training.prediction import micro_average_precision

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


def label_batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 5, generator=generator), torch.rand(8, 5, generator=generator) < 0.3


def test_loss_of_several_labels_is_torchs_sum() -> None:
    logits, targets = label_batch()
    loss = build_losses(ProductSource(None, None, {"label": targets.numpy()}), np.arange(8))["label"]
    assert isinstance(loss, BinaryCrossEntropy)
    expected = F.binary_cross_entropy_with_logits(logits, targets.float(), reduction="sum") / 8
    assert torch.allclose(loss(logits, targets) / loss.total(targets.numpy()), expected)


def test_smoothing_and_focus_of_several_labels_by_hand() -> None:
    logits, targets = torch.tensor([[0.0, 2.0]]), torch.tensor([[True, False]])
    p = torch.sigmoid(logits)
    smooth = -(0.9 * p[0, 0].log() + 0.1 * (1 - p[0, 0]).log()) - (
        0.1 * p[0, 1].log() + 0.9 * (1 - p[0, 1]).log()
    )
    assert torch.allclose(BinaryCrossEntropy(0.2)(logits, targets), smooth)
    focal = -((1 - p[0, 0]) ** 2) * p[0, 0].log() - p[0, 1] ** 2 * (1 - p[0, 1]).log()
    assert torch.allclose(BinaryCrossEntropy(0.0, 2.0)(logits, targets), focal)


def test_micro_average_precision_is_that_of_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score

    logits, targets = label_batch()
    expected = average_precision_score(targets.numpy(), logits.numpy(), average="micro")
    assert abs(micro_average_precision(logits, targets) - expected) < 1e-9
    assert micro_average_precision(logits, torch.zeros_like(targets)) == 0
