"""A vocabulary: scores of all classes by one small network, from title, picture and what the classes are called.

A seen class is scored from a probe of the network's features (or its own head, where others tell what that is worth
on brands that they did not see), the linear expert on the title, a title network where there is one, and the figures
of its name; a new one from its name, and from example products where there are any. Small networks that all classes
share turn these into a logit, one network for what is at hand: picture and title, or either alone. They are trained
on episodes, whose rows neither probe nor expert was fitted on. An open vocabulary has training classes taken away
there, too, so that it meets new classes whose answer is known; the balance between seen and new comes from there. One
that takes in no new classes answers with those that have training rows alone, and each of them has a few weights of
its own. No test row takes part.

Source: generalised zero-shot learning, Chao et al. (2016), where the balance is one constant (calibrated stacking);
episodes over held-out classes follow Vinyals et al., Matching Networks (2016); means of examples Snell et al.,
Prototypical Networks (2017).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.names import FIGURES
from fusionclf.models.probe import LinearProbe

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
        )  # fmt: skip

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

    def fit(self, episodes: Sequence[Episode], groups: Sequence[Tensor], at_hand: str) -> None:
        """Train on episodes, each as often as the others."""
        self.requires_grad_(True)
        some = torch.cat([e.inputs(at_hand, slice(None, None, 7)).flatten(0, 1) for e in episodes])
        spread = some.std(dim=0)
        del some
        # What never varied taught its weights nothing, so it shall not count when it does vary.
        self.scale.copy_(spread.masked_fill(spread < LEAST_SPREAD, torch.inf))
        questions = sum(len(episode.targets) for episode in episodes)
        steps = min(STEPS[at_hand], max(LEAST_STEPS, ASKED_TIMES * questions // BATCH))
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
        self.requires_grad_(False)


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


class Vocabulary(nn.Module):
    """Logits of C classes, (B, C).

    Args:
        classes: C.
        dim: width of the network's features.
        text_dim: width of the sentence embeddings.
        paths: whether figures of a class's place in the category graph count.
        takes_new: whether it is open: classes without a training row are scored, too, and others can be added. If not,
            their logits are OUT_OF_QUESTION.
        title_network: whether it hears a title network, too.
        hears_head: whether it hears the network's own head in place of the probe.
    """

    seen: Tensor
    examples: Tensor
    title_prototypes: Tensor
    feature_prototypes: Tensor

    def __init__(
        self,
        classes: int,
        dim: int,
        text_dim: int,
        paths: bool = True,
        takes_new: bool = True,
        title_network: bool = False,
        hears_head: bool = False,
    ) -> None:
        super().__init__()
        self.paths, self.hears_head = paths, hears_head
        self.width = WIDTH + title_network
        self.takes_new = takes_new
        self.register_buffer("seen", torch.ones(classes, dtype=torch.bool))
        self.register_buffer("examples", torch.zeros(classes, dtype=torch.bool))
        self.register_buffer("title_prototypes", torch.zeros(classes, text_dim))
        self.register_buffer("feature_prototypes", torch.zeros(classes, dim))
        self.probe = LinearProbe(dim, classes)
        self.scorers = nn.ModuleDict({at_hand: self._new_scorer() for at_hand in AT_HAND})

    def _new_scorer(self) -> Scorer:
        return Scorer(self.width, None if self.takes_new else (len(self.seen), OF_KNOWN + self.width - WIDTH))

    def forward(
        self,
        features: Tensor,
        expert: Tensor,
        pairs: Tensor,
        embedding: Tensor,
        has_picture: Tensor | None = None,
        has_title: Tensor | None = None,
        reads_titles: bool = False,
        title_network: Tensor | None = None,
        head: Tensor | None = None,
    ) -> Tensor:
        """Logits of B products.

        Args:
            features: (B, D) of the network.
            expert: (B, C) scores of the linear expert.
            pairs: (B, C, 10) figures of the names.
            embedding: (B, Dt) sentence embeddings of the titles.
            has_picture, has_title: (B,) whether it is at hand; None: of every product.
            reads_titles: whether the network's features come from the title, too.
            title_network: (B, C) logits of a title network, where there is one.
            head: (B, C) logits of the network's own head, where that is heard.
        """
        with torch.autocast(
            expert.device.type, enabled=False
        ):  # these weights were fitted in single precision
            pairs = self.figures(pairs)
            network = self.probe(features) if head is None else head.float()
            similar = self.similar(features, embedding)
            return self._scored(
                network, expert, pairs, similar, has_picture, has_title, reads_titles, title_network
            )

    def _scored(
        self,
        network: Tensor,
        expert: Tensor,
        pairs: Tensor,
        similar: Tensor,
        has_picture: Tensor | None,
        has_title: Tensor | None,
        reads_titles: bool,
        title_network: Tensor | None,
    ) -> Tensor:
        logits = torch.zeros_like(expert, dtype=torch.float32)
        for at_hand, chosen in _by_what_is_at_hand(len(expert), has_picture, has_title, expert.device):
            said = None if at_hand == "title" and not reads_titles else network[chosen]
            inputs = scorer_inputs(
                at_hand, said, expert[chosen], pairs[chosen], similar[chosen], self.seen, self.examples,
                None if title_network is None else title_network[chosen],
            )  # fmt: skip
            logits[chosen] = self.scorers[at_hand](inputs)
        return self.answered(logits, self.seen)

    def answered(self, logits: Tensor, seen: Tensor) -> Tensor:
        """(B, C) logits, those of classes that are not `seen` (C,) out of question where no new ones are taken in."""
        return logits if self.takes_new else logits.masked_fill(~seen, OUT_OF_QUESTION)

    def figures(self, pairs: Tensor) -> Tensor:
        """(B, C, 10) the figures that count: without that of the paths where those are left out."""
        return pairs if self.paths else pairs * pairs.new_tensor([name != "path" for name in FIGURES])

    def similar(self, features: Tensor, embedding: Tensor) -> Tensor:
        """(B, C, 2) cosines with the mean of a class's examples: of the titles, and of the features."""
        own = F.normalize(self.probe.normalised(features), dim=-1)
        return torch.stack(
            [embedding.float() @ self.title_prototypes.T, own @ self.feature_prototypes.T], dim=-1
        )

    def show(self, number: int, features: Tensor, embedding: Tensor) -> None:
        """Give a class examples: (n, D) features and (n, Dt) sentence embeddings; either may have no rows."""
        self.examples[number] = True
        if len(features):
            self.feature_prototypes[number] = prototype(self.probe.normalised(features))
        if len(embedding):
            self.title_prototypes[number] = prototype(embedding)

    def forget_examples(self) -> None:
        """As if no class had been given examples."""
        for buffer in (self.examples, self.title_prototypes, self.feature_prototypes):
            buffer.zero_()

    def fit(self, episodes: Sequence[Episode], groups: Sequence[Tensor], seed: int = 0) -> None:
        """Train the scorers on episodes.

        Args:
            episodes: each with other classes taken away.
            groups: (C,) masks of classes that are also asked for among themselves, such as a part of the split.
            seed: of order and first weights.
        """
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            self.scorers = nn.ModuleDict({at_hand: self._new_scorer() for at_hand in AT_HAND})
            for at_hand, scorer in self.scorers.items():
                assert isinstance(scorer, Scorer)
                scorer.fit(episodes, groups, at_hand)

    def fitted_scorer(self, episodes: Sequence[Episode], groups: Sequence[Tensor], seed: int = 0) -> Scorer:
        """A scorer of picture and title that is fitted like the vocabulary's own, on other episodes."""
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            scorer = self._new_scorer()
            scorer.fit(episodes, groups, "both")
        return scorer


def _by_what_is_at_hand(
    count: int, has_picture: Tensor | None, has_title: Tensor | None, device: torch.device
) -> Iterator[tuple[str, Tensor]]:
    """Places of the products of each kind; one with nothing at hand is asked like one with a title."""
    everything = torch.ones(count, dtype=torch.bool, device=device)
    picture = everything if has_picture is None else has_picture
    title = everything if has_title is None else has_title
    for at_hand, mask in (("both", picture & title), ("title", ~picture), ("picture", picture & ~title)):
        if mask.any():
            yield at_hand, mask.nonzero().squeeze(1)


def prototype(vectors: Tensor) -> Tensor:
    """(D,) the mean of (n, D) vectors of length 1, itself of length 1."""
    return F.normalize(F.normalize(vectors.float(), dim=-1).mean(0), dim=0)
