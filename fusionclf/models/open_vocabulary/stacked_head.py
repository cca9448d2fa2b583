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

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fusionclf.models.open_vocabulary.linear_probe import LinearProbe
from fusionclf.models.open_vocabulary.meta_classifier import (
    AT_HAND,
    OF_KNOWN,
    OUT_OF_QUESTION,
    WIDTH,
    Episode,
    Scorer,
    scorer_inputs,
)
from fusionclf.models.open_vocabulary.name_match_features import FIGURES


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

    def fit(
        self,
        episodes: Sequence[Episode],
        groups: Sequence[Tensor],
        seed: int = 0,
        told: Callable[[], None] = lambda: None,
    ) -> None:
        """Train the scorers on episodes.

        Args:
            episodes: each with other classes taken away.
            groups: (C,) masks of classes that are also asked for among themselves, such as a part of the split.
            seed: of order and first weights.
            told: called after each step of each scorer.
        """
        self.scorers = nn.ModuleDict(self.fitted_scorers(episodes, groups, seed, told, AT_HAND))

    def fitted_scorers(
        self,
        episodes: Sequence[Episode],
        groups: Sequence[Tensor],
        seed: int,
        told: Callable[[], None],
        of: Sequence[str],
    ) -> dict[str, Scorer]:
        """What is at hand, of the kinds in `of`, → a scorer that is trained on episodes, as `fit` does."""
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(seed)
            scorers = {at_hand: self._new_scorer() for at_hand in of}
            for at_hand, scorer in scorers.items():
                scorer.fit(episodes, groups, at_hand, told)
        return scorers


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
