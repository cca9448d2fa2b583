"""The scorer of a vocabulary: what is said of a product and a class → a logit; and the episodes that it learns from.

All classes share its weights, but for a few of each class's own where no class is new.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.name_match_features import FIGURES

AT_HAND = ("both", "title", "picture")  # what is at hand of a product
HIDDEN = 32
LEAST_LOG_PROBABILITY = -12.0
LEAST_SPREAD = 1e-4  # standard deviation of an input of the scorer
BATCH = 512
STEPS = {"both": 1800, "title": 600, "picture": 600}  # at most
ASKED_TIMES = 100  # each product at most, of a small catalog; but LEAST_STEPS are made
LEAST_STEPS = 300
LEARNING_RATE = 5e-3
WEIGHT_DECAY = 1e-2
DECAY_OF_CLASS = 2.0  # of a class's own weights, which few products teach
OUT_OF_QUESTION = -1e4
OWN, SIMILAR = 2, 2  # what expert and probe say; likeness to examples by title and by features
OF_KNOWN = OWN + len(FIGURES)  # the first inputs, of seen classes alone; one more with a title network
WIDTH = OF_KNOWN + len(FIGURES) + 1 + SIMILAR + 1  # one more likewise


@dataclass(frozen=True)
class Episode:
    """Products, and what a model says of them that saw neither them nor some of the classes.

    Attributes:
        network: what is at hand → (n, C) logits of the probe; without "title" where the network reads no titles.
        expert: (n, C) scores of the linear expert.
        pairs: (n, C, 10) figures of the names.
        similar: what is at hand → (n, C, 2) likeness to the examples of classes that have some; a title alone is as
            like as the title of "both".
        targets: (n,) class numbers.
        weights: (n,) how many products each stands for.
        seen: (C,) whether the model knew the class.
        examples: (C,) whether there are examples of a class that it did not know.
        title_network: (n, C) logits of a title network that saw none of these products; None where there is none.
        has_picture, has_title: (n,) whether a product has one; None: all have.
    """

    network: Mapping[str, Tensor]
    expert: Tensor
    pairs: Tensor
    similar: Mapping[str, Tensor]
    targets: Tensor
    weights: Tensor
    seen: Tensor
    examples: Tensor
    title_network: Tensor | None = None
    has_picture: Tensor | None = None
    has_title: Tensor | None = None

    def inputs(self, at_hand: str, rows: Tensor | slice = slice(None)) -> Tensor:
        """(b, C, 26 or 27) what the scorer takes, of some rows."""
        network, similar = self.network.get(at_hand), self.similar.get(at_hand, self.similar["both"])
        return scorer_inputs(
            at_hand, None if network is None else network[rows], self.expert[rows], self.pairs[rows],
            similar[rows], self.seen, self.examples,
            None if self.title_network is None else self.title_network[rows],
        )  # fmt: skip

    def only(self, rows: Tensor) -> "Episode":
        """The same episode with some of its rows alone, (k,) places."""
        return replace(
            self,
            network={at_hand: logits[rows] for at_hand, logits in self.network.items()},
            similar={at_hand: values[rows] for at_hand, values in self.similar.items()},
            expert=self.expert[rows], pairs=self.pairs[rows],
            targets=self.targets[rows], weights=self.weights[rows],
            title_network=None if self.title_network is None else self.title_network[rows],
            has_picture=None if self.has_picture is None else self.has_picture[rows],
            has_title=None if self.has_title is None else self.has_title[rows],
        )  # fmt: skip

    def having(self, at_hand: str) -> "Episode":
        """The products that have what a kind of scorer reads: both, a title or a picture."""
        needed = {
            "both": (self.has_picture, self.has_title),
            "title": (self.has_title,),
            "picture": (self.has_picture,),
        }
        masks = [mask for mask in needed[at_hand] if mask is not None]
        rows = torch.stack([torch.ones(len(self.targets), dtype=torch.bool), *masks]).all(dim=0)
        return self if rows.all() else self.only(rows.nonzero().squeeze(1))

    def weighed(self, at_hand: str) -> Tensor:
        """(n,) weights; a picture cannot tell of a class that is known by its name alone, so none is asked for."""
        if at_hand != "picture":
            return self.weights
        return self.weights * (self.seen | self.examples)[self.targets]


def scorer_inputs(
    at_hand: str,
    network: Tensor | None,
    expert: Tensor,
    pairs: Tensor,
    similar: Tensor,
    seen: Tensor,
    examples: Tensor,
    title_network: Tensor | None = None,
) -> Tensor:
    """(B, C, 26): what is said of a seen class, or of a new one; zeros elsewhere, and for what is not at hand.

    Where there is a title network, 27: what it says stands first.
    """
    known = seen[None, :, None]  # (1, C, 1)
    pairs, similar = pairs.float(), similar.float()
    of_title, said = [expert.float()], torch.zeros_like(expert, dtype=torch.float32)
    if title_network is not None:
        of_title.insert(0, _log_probabilities(title_network, seen))
    if network is not None:
        said = _log_probabilities(network, seen)
    if at_hand == "picture":
        of_title = [torch.zeros_like(said) for _ in of_title]
        pairs, similar = torch.zeros_like(pairs), similar * similar.new_tensor([0, 1])
    elif at_hand == "title":
        similar = similar * similar.new_tensor([1, 0])
    own = torch.stack([*of_title, said], dim=-1)  # (B, C, 2 or 3)
    new, shown = (~known).float(), (examples[None, :, None] & ~known).float()
    one = torch.ones_like(pairs[:, :, :1])
    return torch.cat(
        [own.masked_fill(~known, 0.0), pairs * known, pairs * new, one * new, similar * shown, one * shown],
        dim=-1,
    )


def _log_probabilities(logits: Tensor, seen: Tensor) -> Tensor:
    """(B, C) among the seen classes; none is below a least one."""
    return logits.float().masked_fill(~seen, -torch.inf).log_softmax(dim=1).clamp_min(LEAST_LOG_PROBABILITY)


class Scorer(nn.Module):
    """A logit for each (product, class) pair, (B, C, width) → (B, C).

    All classes share a linear layer and a few hidden units; where no class is new, each has some weights of its own.

    Args:
        width: of `scorer_inputs`.
        of_class: shape of the classes' own weights, (C, the first inputs they are of); None: all weights are shared.
    """

    scale: Tensor
    of_class: nn.Parameter | None

    def __init__(self, width: int, of_class: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(width))
        self.of_class = None if of_class is None else nn.Parameter(torch.zeros(of_class))
        self.linear = nn.Linear(width, 1, bias=False)
        self.bent = nn.Sequential(nn.Linear(width, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        nn.init.zeros_(self.linear.weight)
        self.requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        scaled = inputs / self.scale
        shared = (self.linear(scaled) + self.bent(scaled)).squeeze(-1)
        if self.of_class is None:
            return shared
        return shared + (scaled[..., : self.of_class.shape[1]] * self.of_class).sum(dim=-1)

    def fit(
        self,
        episodes: Sequence[Episode],
        groups: Sequence[Tensor],
        at_hand: str,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """Train on episodes, each as often as the others; `told` is called after each of `steps_on` steps."""
        episodes = _having(episodes, at_hand)
        self.requires_grad_(True)
        some = torch.cat([e.inputs(at_hand, slice(None, None, 7)).flatten(0, 1) for e in episodes])
        spread = some.std(dim=0)
        del some
        # What never varied taught its weights nothing, so it shall not count when it does vary.
        self.scale.copy_(spread.masked_fill(spread < LEAST_SPREAD, torch.inf))
        steps = steps_on(episodes, at_hand)
        weights: list[dict[str, Any]] = [{"params": [*self.linear.parameters(), *self.bent.parameters()]}]
        if self.of_class is not None:
            weights.append({"params": [self.of_class], "weight_decay": DECAY_OF_CLASS})
        optimiser = torch.optim.AdamW(weights, LEARNING_RATE, weight_decay=WEIGHT_DECAY, fused=True)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=steps)
        for episode, rows in _batches(episodes, steps):
            logits = self(episode.inputs(at_hand, rows))
            optimiser.zero_grad()
            _loss(logits, episode.targets[rows], episode.weighed(at_hand)[rows], groups).backward()
            optimiser.step()
            schedule.step()
            told()
        self.requires_grad_(False)


def steps_on(episodes: Sequence[Episode], at_hand: str) -> int:
    """How many steps a scorer is trained for."""
    questions = sum(len(episode.targets) for episode in _having(episodes, at_hand))
    return min(STEPS[at_hand], max(LEAST_STEPS, ASKED_TIMES * questions // BATCH))


def _having(episodes: Sequence[Episode], at_hand: str) -> list[Episode]:
    """The episodes' products that have what a kind of scorer reads; all of them where none has."""
    found = [episode.having(at_hand) for episode in episodes]
    return [episode for episode in found if len(episode.targets)] or list(episodes)


def _batches(episodes: Sequence[Episode], steps: int) -> Iterator[tuple[Episode, Tensor]]:
    while True:
        batches = [(e, rows) for e in episodes for rows in torch.randperm(len(e.targets)).split(BATCH)]
        for number in torch.randperm(len(batches)).tolist():
            if steps == 0:
                return
            steps -= 1
            yield batches[number]


def _loss(logits: Tensor, targets: Tensor, weights: Tensor, groups: Sequence[Tensor]) -> Tensor:
    """Weighted cross-entropy among all classes, and among those of the group that the product is in."""
    losses = F.cross_entropy(logits, targets, reduction="none")
    for group in groups:
        asked = group[targets]
        if asked.any():
            among = logits[asked].masked_fill(~group, OUT_OF_QUESTION)
            places = asked.nonzero().squeeze(1)
            own = F.cross_entropy(among, targets[asked], reduction="none")
            losses = losses.index_add(0, places, own)
    return (losses * weights).sum() / weights.sum().clamp_min(1e-9)
