"""The loss of meta-classifiers, and their fit side by side."""

import pytest
import torch
from torch.nn import functional as F

from fusionclf.models.open_vocabulary import meta_training
from fusionclf.models.open_vocabulary.level_zero import MODALITIES
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.models.open_vocabulary.meta_training import MetaTrainingFold
from tests.models.open_vocabulary.test_stacked_head import make_fold


def plain_loss(classifier: MetaClassifier, fold: MetaTrainingFold, rows: torch.Tensor) -> torch.Tensor:
    """The loss with gradients through all pairs of a product and a class."""
    classes, targets = fold.classes, fold.targets[rows]
    level_zero, is_known = fold.level_zero("both", rows), fold.classes.seen[targets]
    known = classifier.known(level_zero, classes)
    scores, odds = classifier.new_and_odds(level_zero, classes, known)
    own = scores.masked_fill(classes.seen, -torch.inf)
    of_odds = F.binary_cross_entropy_with_logits(odds, is_known.float())
    losses = [F.nll_loss(known[is_known], targets[is_known])] if is_known.any() else []
    if not is_known.all():
        losses.append(F.cross_entropy(own[~is_known], targets[~is_known]))
    return torch.stack([*losses, of_odds]).sum()


def gradients(classifier: MetaClassifier, loss: torch.Tensor) -> torch.Tensor:
    """Of all weights, in one vector; 0 for those that the loss does not depend on."""
    weights = list(classifier.parameters())
    found = torch.autograd.grad(loss, weights, allow_unused=True, materialize_grads=True)
    return torch.cat([own.flatten() for own in found])


@pytest.mark.parametrize("rows", [range(60), [0, 1, 2, 3, 7], [4, 5]], ids=["mixed", "known", "new"])
def test_the_loss_has_the_gradients_of_all_pairs(rows: list[int]) -> None:
    fold, classifier = make_fold([1, 4, 6], 60), MetaClassifier().requires_grad_(True)
    fold.targets[:8] = torch.tensor([0, 2, 3, 5, 4, 6, 1, 7])
    torch.manual_seed(0)
    for weights in classifier.parameters():
        torch.nn.init.normal_(weights, std=0.3)
    places = torch.tensor(rows)
    found = meta_training._loss(classifier, fold, places, "both")
    plain = plain_loss(classifier, fold, places)
    assert found.item() == pytest.approx(plain.item(), abs=1e-5)
    own = gradients(classifier, found)
    assert own.abs().sum() > 1 and torch.allclose(own, gradients(classifier, plain), atol=1e-5)


def test_side_by_side_each_is_fitted_as_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meta_training, "STEPS", {"both": 20, "title": 10, "picture": 10})
    monkeypatch.setattr(meta_training, "LEAST_STEPS", 10)
    several = [[make_fold([n, n + 4], seed=n) for n in range(2)], [make_fold([8, 9], seed=5)]]
    steps: list[int] = []
    together = meta_training.fit_several(several, 0, MODALITIES, lambda: steps.append(1))
    assert len(steps) == sum(map(meta_training.count_steps, several)) > 0
    for folds, found in zip(several, together, strict=True):
        alone = meta_training.fit_meta_classifiers(folds, 0)
        for modality, classifier in alone.items():
            for name, values in classifier.state_dict().items():
                assert torch.allclose(values, found[modality].state_dict()[name], atol=1e-5), (modality, name)
    assert meta_training.fit_several([], 0, MODALITIES) == []
