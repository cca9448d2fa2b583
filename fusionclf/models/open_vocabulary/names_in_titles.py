"""How training titles use the names of unseen classes.

If the titles of a seen class often contain the name of an unseen one, a title that does so too is hardly of the unseen
class: where training titles of Jeans say "jeggings", a pair of jeggings is labelled Jeans.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.level_zero import ClassFacts
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES

OF_NAMES = 5  # features
WHOLE_NAME = NAME_MATCH_FEATURES.index("all")


def facts_of_names(scores: Tensor, name_match: Tensor, targets: Tensor, counts: Tensor) -> Tensor:
    """(2, U, S) as ClassFacts.of_names, in half precision.

    Args:
        scores: (C, C) of the linear text model for each class's name.
        name_match: (m, C, 10) name-match features of rows that it was fitted on, or of a sample of them.
        targets: (m,) their class numbers.
        counts: (C,) all such rows of each class.
    """
    seen = counts > 0
    contain = (name_match[..., WHOLE_NAME] == 1).float()  # (m, C)
    titles = contain.T @ F.one_hot(targets, len(counts)).float()  # (C, C)
    titles *= counts.sum() / max(len(targets), 1)
    return torch.stack([scores, titles.log1p()])[:, ~seen][:, :, seen].half()


def features_of_names(classes: ClassFacts, best_new: Tensor, best_known: Tensor) -> Tensor:
    """(B, OF_NAMES) what is known of the name of each product's best new class; 0 where nothing is.

    The scores for it of the best known class and of the class with the highest one; the titles that contain it of the
    best known class and of all; and the share of the best known class's titles.

    Args:
        classes: facts of C classes.
        best_new: (B,) class numbers.
        best_known: (B,) places among the seen classes.
    """
    if classes.of_names is None or not classes.of_names.shape[1]:
        return torch.zeros(len(best_new), OF_NAMES, device=best_new.device)
    among_unseen = ((~classes.seen).cumsum(0) - 1).clamp_min(0)[best_new]
    scores, titles = classes.of_names.float()
    score, own = (values[among_unseen, best_known] for values in (scores, titles))
    columns = [
        score,
        scores.amax(dim=1)[among_unseen],
        own,
        titles.expm1().sum(dim=1).log1p()[among_unseen],
        own.expm1() / (1 + classes.counts[classes.seen_places][best_known]),
    ]
    return torch.stack(columns, dim=1)
