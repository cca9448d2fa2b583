"""An open vocabulary: one score for every class, whether it has a training row or none.

A seen class is scored from the picture network, the linear expert and the figures of its name; an unseen one from
its name alone. One small network, the same for all classes, turns them into a logit. It is trained on episodes in
which training classes are taken away on purpose, so that it meets unseen classes whose answer is known; the balance
between seen and unseen comes from there, and no test row takes part.

Source: generalised zero-shot learning, Chao et al. (2016), where the balance is one constant (calibrated stacking);
episodes over held-out classes follow Vinyals et al., Matching Networks (2016).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.names import FIGURES

HIDDEN = 16
LEAST_LOG_PROBABILITY = -12.0
BATCH = 512
LEARNING_RATE = 5e-3
OUT_OF_QUESTION = -1e4


@dataclass(frozen=True)
class Episode:
    """Products, and what a model says of them that never saw some of the classes.

    Attributes:
        network: (n, C) logits of the picture network.
        expert: (n, C) scores of the linear expert.
        pairs: (n, C, 10) figures of the names.
        targets: (n,) class numbers.
        seen: (C,) whether the model knew the class.
    """

    network: Tensor
    expert: Tensor
    pairs: Tensor
    targets: Tensor
    seen: Tensor


class OpenVocabulary(nn.Module):
    """Logits of C classes, seen or not, (B, C).

    Args:
        classes: C.
    """

    seen: Tensor
    scale: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        width = 2 + 2 * len(FIGURES) + 1
        self.register_buffer("seen", torch.ones(classes, dtype=torch.bool))
        self.register_buffer("scale", torch.ones(width))
        self.linear = nn.Linear(width, 1, bias=False)
        self.bent = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        nn.init.zeros_(self.linear.weight)
        self.requires_grad_(False)  # fitted by `fit`, after the network was trained

    def inputs(self, network: Tensor, expert: Tensor, pairs: Tensor, seen: Tensor) -> Tensor:
        """(B, C, 23): network, expert and name of a seen class, or name and a one of an unseen class; else zeros."""
        known = seen.to(pairs.dtype)[None, :, None]  # (1, C, 1)
        sure = network.float().masked_fill(~seen, -torch.inf).log_softmax(dim=1)
        own = torch.stack([expert.float(), sure.clamp_min(LEAST_LOG_PROBABILITY)], dim=-1)  # (B, C, 2)
        own = own.masked_fill(~seen[None, :, None], 0.0)
        one = torch.ones_like(pairs[:, :, :1])
        return torch.cat([own, pairs * known, pairs * (1 - known), one * (1 - known)], dim=-1)

    def _logits(self, inputs: Tensor) -> Tensor:
        scaled = inputs / self.scale
        return (self.linear(scaled) + self.bent(scaled)).squeeze(-1)  # (B, C)

    def forward(self, network: Tensor, expert: Tensor, pairs: Tensor) -> Tensor:
        return self._logits(self.inputs(network, expert, pairs, self.seen))

    def fit(self, episodes: Sequence[Episode], groups: Sequence[np.ndarray], seed: int = 0) -> None:
        """Train on episodes, once through all of them.

        Args:
            episodes: each with other classes taken away.
            groups: (C,) masks of classes that are also asked for among themselves, such as a part of the split.
            seed: of order and first weights.
        """
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            self.requires_grad_(True)
            for layer in (self.bent[0], self.bent[2]):
                layer.reset_parameters()  # pyright: ignore[reportCallIssue]
            nn.init.zeros_(self.linear.weight)
            some = [
                self.inputs(e.network[::7], e.expert[::7], e.pairs[::7].float(), e.seen) for e in episodes
            ]
            self.scale.copy_(torch.cat([s.flatten(0, 1) for s in some]).std(dim=0).clamp_min(1e-3))
            del some
            self._train(episodes, [torch.from_numpy(group) for group in groups])
            self.requires_grad_(False)

    def _train(self, episodes: Sequence[Episode], groups: Sequence[Tensor]) -> None:
        batches = [
            (episode, rows)
            for episode in episodes
            for rows in torch.randperm(len(episode.targets)).split(BATCH)
        ]
        optimiser = torch.optim.AdamW(self.parameters(), LEARNING_RATE, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=len(batches))
        for number in torch.randperm(len(batches)).tolist():
            episode, rows = batches[number]
            targets = episode.targets[rows]
            pairs = episode.pairs[rows].float()
            logits = self._logits(
                self.inputs(episode.network[rows], episode.expert[rows], pairs, episode.seen)
            )
            loss = F.cross_entropy(logits, targets)
            for group in groups:
                asked = group[targets]
                if asked.any():
                    among = logits[asked].masked_fill(~group, OUT_OF_QUESTION)
                    loss = loss + F.cross_entropy(among, targets[asked], reduction="sum") / len(targets)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()


def held_out_folds(
    classes: np.ndarray, families: np.ndarray, folds: int = 5, seed: int = 0
) -> list[np.ndarray]:
    """Classes to take away, in folds: first single classes at random, then whole families.

    Args:
        classes: (k,) class numbers that have training rows.
        families: (k,) family of each, such as its subcategory; a class that is new often comes with its siblings.
        folds: of each kind.
        seed: of the division.

    Returns:
        Up to 2 · folds arrays of class numbers; none is empty and none holds all classes.
    """
    generator = np.random.default_rng(seed)
    order = generator.permutation(classes)
    chosen = [order[n::folds] for n in range(folds)]
    names = generator.permutation(np.unique(families))
    chosen += [classes[np.isin(families, names[n::folds])] for n in range(folds)]
    return [fold for fold in chosen if 0 < len(fold) < len(classes)]
