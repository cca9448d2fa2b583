"""Episodes that teach a vocabulary: rows and, where it is open, classes are held out, and asked about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from fusionclf.batches import ProductSource
from fusionclf.catalog import Catalog
from fusionclf.catalog.titles import first_word
from fusionclf.console import SILENT, Console
from fusionclf.errors import RunError
from fusionclf.evaluation import CategoryGraph
from fusionclf.models import ProductClassifier
from fusionclf.models.open_vocabulary.meta_classifier import AT_HAND, Episode, steps_on

CLASS_FOLDS = 3  # of single classes, and again of whole families
MOST_ROWS = 60_000  # that episodes are made of; more teach a few weights nothing
MOST_EXAMPLES = 5
LEAST_KNOWN = 0.1  # of the rows that an episode leaves to learn from
ROWS_AT_ONCE = 4096


Asked = tuple[Episode, np.ndarray]  # an episode, and its places among the rows


@dataclass(frozen=True)
class HeldOut:
    """Answers about products that were held out, each once.

    Attributes:
        rows: (n,) catalog rows.
        logits: (n, C).
        seen: (n, C) whether the model that answered knew the class.
    """

    rows: np.ndarray
    logits: np.ndarray
    seen: np.ndarray


class EpisodeMaker:
    """Fits a model's expert and probe without some rows and classes, and asks about those rows.

    Args:
        model: a trained model with a vocabulary; expert, probe and examples are overwritten.
        features: what is at hand → (n, D) features of the network.
        rows: (n,) catalog rows.
        source: prepared titles and class numbers of all products.
        catalog: titles.
        embeddings: (n, Dt) sentence embeddings of the titles.
        seed: of the solver and of examples.
        of_titles: (n, C) logits of title networks that saw none of the products they are of; None where the model has
            no title network.
        of_pictures: (n, C) likewise, of networks that read pictures; None: the probe is asked.
        by_year: whether rows are also held out year by year, as a split by years does with its test rows.
    """

    def __init__(
        self,
        model: ProductClassifier,
        features: dict[str, Tensor],
        rows: np.ndarray,
        source: ProductSource,
        catalog: Catalog,
        embeddings: np.ndarray,
        seed: int,
        of_titles: Tensor | None = None,
        of_pictures: Tensor | None = None,
        by_year: bool = False,
    ) -> None:
        assert model.wide is not None and model.vocabulary is not None and source.titles is not None
        self.wide, self.vocabulary = model.wide, model.vocabulary
        self.features, self.rows, self.embeddings, self.seed = features, rows, embeddings, seed
        self.of_titles, self.of_pictures = of_titles, of_pictures
        self.titles = catalog.table["title"].to_numpy(object)[rows]
        years = catalog.table["year"].astype(str).to_numpy(object)[rows]
        self.years = years if by_year and len(set(years)) > 1 else None
        self.counts = self.wide.count(self.titles.tolist())  # (n, buckets)
        self.targets = source.targets["label"][rows]
        has_picture, has_title = source.has_picture, source.has_title
        self.has_picture = np.ones(len(rows), bool) if has_picture is None else has_picture[rows]
        self.has_title = np.ones(len(rows), bool) if has_title is None else has_title[rows]
        # The features of a network that reads both stand for a product without a picture, too.
        self.has_features = self.has_picture if model.text is None else self.has_picture | self.has_title
        chunks = [rows[start : start + ROWS_AT_ONCE] for start in range(0, len(rows), ROWS_AT_ONCE)]
        pairs = [source.titles.batch(chunk)["pairs"].half() for chunk in chunks]
        self.pairs = self.vocabulary.figures(torch.cat(pairs))  # (n, C, 10)

    def fit(self, known: np.ndarray) -> None:
        """Expert and probe on the rows of an (n,) mask."""
        self.wide.fit(self.counts[known], self.targets[known], self.embeddings[known], self.seed)
        places = torch.from_numpy(np.flatnonzero(known & self.has_features))
        if len(places):
            self.vocabulary.probe.fit(
                self.features["both"][places], torch.from_numpy(self.targets)[places], self.seed
            )
        self.vocabulary.seen.zero_()
        self.vocabulary.seen[np.unique(self.targets[known])] = True
        self.vocabulary.forget_examples()

    def can_learn(self, known: np.ndarray) -> bool:
        """Whether the rows of an (n,) mask are enough to fit on: a tenth of all, of two classes."""
        return known.sum() >= LEAST_KNOWN * len(known) and len(np.unique(self.targets[known])) > 1

    def episode(self, out: np.ndarray, away: np.ndarray, number: int) -> Asked:
        """What a model says that was fitted without some rows and classes.

        Args:
            out: (n,) mask of the rows that are held out.
            away: class numbers that are held out with all their rows. Half of them show a few examples.
            number: of the episode; examples depend on it.

        Returns:
            The episode, and its places in `rows`.
        """
        new = np.isin(self.targets, away)
        self.fit(~out & ~new)
        shown = self._show_examples(away, number)
        answerable = self.vocabulary.takes_new | self.vocabulary.seen.numpy()[self.targets]
        asked = np.flatnonzero((out | new) & ~shown & answerable)
        places, said = torch.from_numpy(asked), self.of_pictures
        network = {
            at_hand: self.vocabulary.probe(values[places]) if said is None else said[places]
            for at_hand, values in self.features.items()
        }
        embeddings = torch.from_numpy(self.embeddings[asked])
        seen, examples = self.vocabulary.seen.clone(), self.vocabulary.examples.clone()
        is_new, has_examples = ~seen.numpy()[self.targets[asked]], examples.numpy()[self.targets[asked]]
        weights = torch.from_numpy(_weighed_alike(is_new, has_examples)).float()
        similar = {
            at_hand: self.vocabulary.similar(values[places], embeddings).half()
            for at_hand, values in self.features.items()
            if at_hand == "both" or (at_hand == "picture" and values is not self.features["both"])
        }
        return Episode(
            network, self.wide.score(self.counts[asked], self.embeddings[asked]).cpu(),
            self.pairs[places], similar, torch.from_numpy(self.targets[asked]), weights, seen, examples,
            None if self.of_titles is None else self.of_titles[places],
            torch.from_numpy(self.has_picture[asked]), torch.from_numpy(self.has_title[asked]),
        ), asked  # fmt: skip

    def _show_examples(self, away: np.ndarray, number: int) -> np.ndarray:
        """Give half of the classes that were taken away examples; (n,) mask of the rows that were shown."""
        generator = np.random.default_rng([self.seed, number])
        shown = np.zeros(len(self.rows), bool)
        for chosen in generator.permutation(away)[: len(away) // 2]:
            own = np.flatnonzero(self.targets == chosen)
            count = min(int(generator.integers(1, MOST_EXAMPLES + 1)), len(own) - 1)
            if count < 1:
                continue
            picked = generator.choice(own, count, replace=False)
            shown[picked] = True
            of_pictures = torch.from_numpy(picked[self.has_features[picked]])
            of_titles = self.embeddings[picked[self.has_title[picked]]]
            self.vocabulary.show(int(chosen), self.features["both"][of_pictures], torch.from_numpy(of_titles))
        return shown


def fit_on_episodes(
    maker: EpisodeMaker,
    families: np.ndarray,
    groups: Sequence[np.ndarray],
    seed: int,
    console: Console = SILENT,
) -> tuple[HeldOut, int]:
    """Train a model's vocabulary on episodes; its expert and probe are left as the last episode had them.

    Rows are held out in random folds, in folds of brands (titles' first words), as next year's products are of other
    brands, and, where the split is one by years, in folds of years: there pictures look otherwise, too. Each time an
    open vocabulary has classes taken away, one by one, and as whole families.

    Args:
        maker: makes the episodes.
        families: (C,) of every class, such as its subcategory; a class that is new often comes with its siblings.
        groups: (C,) masks of classes that are also asked for among themselves.
        seed: of folds, order and first weights.
        console: where progress shows.

    Returns:
        What the folds of brands were answered, each product once; and the number of episodes.
    """
    classes = np.unique(maker.targets)
    folds = (
        held_out_folds(classes, families[classes], CLASS_FOLDS, seed) if maker.vocabulary.takes_new else []
    )
    folds = folds or [np.array([], np.int64)] * CLASS_FOLDS

    def made(of: str, fold_of: np.ndarray, rounds: int = len(folds)) -> dict[int, Asked]:
        outs = [fold_of == number % rounds for number in range(len(folds))]
        episodes = {}
        with console.progress(f"products held out {of}", len(folds)) as told:
            for number, (out, away) in enumerate(zip(outs, folds, strict=True)):
                if maker.can_learn(~out & ~np.isin(maker.targets, away)):
                    episodes[number] = maker.episode(out, away, number)
                told()
        return episodes

    at_random = made("at random", row_folds(maker.titles, len(folds), seed))
    of_brand = row_folds(brands(maker.titles), len(folds), seed)
    by_brand, by_year = made("by brand", of_brand), {}
    if not by_brand:
        raise _too_few(maker)
    if maker.years is not None:
        of_year = even_folds(maker.years, CLASS_FOLDS)
        by_year = made(
            "by year", of_year, int(of_year.max()) + 1
        )  # once with single classes, once with families
    everything = [*at_random.values(), *by_brand.values(), *by_year.values()]
    masks = [torch.from_numpy(group) for group in groups]
    asked = [episode for episode, _ in everything]
    steps = sum(steps_on(asked, at_hand) for at_hand in AT_HAND)
    with console.progress("scorers of the vocabulary", steps) as told:
        maker.vocabulary.fit(asked, masks, seed, told)
    return _held_out(maker, of_brand, by_brand, everything, masks, seed, console), len(everything)


def _weighed_alike(new: np.ndarray, has_examples: np.ndarray) -> np.ndarray:
    """(n,) weights by which products of known classes, of new ones, and of new ones with examples count alike.

    So the seen and the unseen count alike, as they do in the harmonic mean.
    """
    kind = np.where(new, 1 + has_examples, 0)
    _, member, counts = np.unique(kind, return_inverse=True, return_counts=True)
    return len(new) / (len(counts) * counts[member])


@torch.no_grad()
def _held_out(
    maker: EpisodeMaker,
    of_brand: np.ndarray,
    by_brand: Mapping[int, Asked],
    everything: Sequence[Asked],
    groups: Sequence[Tensor],
    seed: int,
    console: Console,
) -> HeldOut:
    """What the folds of brands are answered, by scorers that were not asked about the products of these brands.

    The vocabulary's own scorers learn from all folds, so their answers to these would promise too much.
    """
    model, rows, logits, seen = maker.vocabulary, [], [], []
    for turn in range(CLASS_FOLDS):
        numbers = [number for number in by_brand if number % CLASS_FOLDS == turn]
        out = np.isin(of_brand, numbers)
        others = [
            episode.only(torch.from_numpy(np.flatnonzero(~out[asked]))) for episode, asked in everything
        ]
        others = [episode for episode in others if len(episode.targets)]
        if not numbers or not others:
            continue
        title = f"scorer {turn + 1} of {CLASS_FOLDS} for held-out products"
        kinds = _kinds(maker)
        with console.progress(title, sum(steps_on(others, at_hand) for at_hand in kinds)) as told:
            scorers = model.fitted_scorers(others, groups, seed, told, list(kinds))
        for number in numbers:
            episode, asked = by_brand[number]
            for at_hand, mask in kinds.items():
                wanted = np.flatnonzero((of_brand[asked] == number) & mask[asked])
                for chunk in torch.from_numpy(wanted).split(ROWS_AT_ONCE):
                    said = scorers[at_hand](episode.inputs(at_hand, chunk))
                    logits.append(model.answered(said, episode.seen).numpy())
                rows.append(maker.rows[asked[wanted]])
                seen.append(np.broadcast_to(episode.seen.numpy(), (len(wanted), len(episode.seen))))
    if not rows:
        raise _too_few(maker)
    return HeldOut(np.concatenate(rows), np.concatenate(logits), np.concatenate(seen))


def _kinds(maker: EpisodeMaker) -> dict[str, np.ndarray]:
    """(n,) masks of the products that have both modalities, a title alone, or a picture alone; empty ones left out."""
    picture, title = maker.has_picture, maker.has_title
    masks = {"both": picture & title, "title": ~picture, "picture": picture & ~title}
    return {at_hand: mask for at_hand, mask in masks.items() if mask.any()}


def _too_few(maker: EpisodeMaker) -> RunError:
    classes = len(np.unique(maker.targets))
    return RunError(
        f"{len(maker.rows)} products of {classes} classes are too few to hold some of them out; "
        "set model.vocabulary=closed"
    )


def held_out_folds(
    classes: np.ndarray, families: np.ndarray, folds: int = 3, seed: int = 0
) -> list[np.ndarray]:
    """Classes to take away, in folds: first single classes at random, then whole families.

    Args:
        classes: (k,) class numbers that have training rows.
        families: (k,) family of each.
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


def row_folds(groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(n,) number of each row's fold; rows of one group (n,) are in one fold, unless all rows are of one group."""
    _, member = np.unique(groups.astype(str), return_inverse=True)
    if member.max() == 0:  # one group alone: its rows are divided
        member = np.arange(len(groups))
    return np.random.default_rng(seed).permutation(int(member.max()) + 1)[member] % max(folds, 2)


def even_folds(groups: np.ndarray, folds: int) -> np.ndarray:
    """(n,) number of each row's fold; groups (n,), the largest first, join the fold that is smallest yet."""
    _, member, counts = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    fold_of, sizes = np.zeros(len(counts), np.int64), np.zeros(folds, np.int64)
    for group in np.argsort(-counts, kind="stable"):
        fold_of[group] = sizes.argmin()
        sizes[fold_of[group]] += counts[group]
    return fold_of[member]


def brands(titles: np.ndarray) -> np.ndarray:
    """The first word of each title, in lower case."""
    return np.array([first_word(title) for title in titles], object)


def class_paths(graph: CategoryGraph, names: Sequence[str]) -> list[str]:
    """A text of each class's name and most frequent place in the category graph, nearest category first."""
    return [", ".join(filter(None, reversed(graph.best_path(name)))) for name in names]


def class_families(graph: CategoryGraph, names: Sequence[str]) -> np.ndarray:
    """The lowest category of each class; a number of its own where the catalog has no categories."""
    if len(graph.levels) == 1:
        return np.arange(len(names)).astype(str)
    return np.array([graph.best_path(name)[-2] for name in names], object).astype(str)


def without(source: ProductSource, modality: str) -> ProductSource:
    """The same products, each without its title or its picture."""
    nothing = np.zeros(len(source.targets["label"]), bool)
    return replace(source, **{f"has_{modality}": nothing})
