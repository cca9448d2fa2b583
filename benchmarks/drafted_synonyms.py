"""Drafted synonyms: how well do name-match features alone name classes that are held out? Train rows only.

    python -m benchmarks.drafted_synonyms data/fashion-small

The classes with train rows are divided into five folds. For each fold, synonyms are drafted without the rows of its
classes, one small network over the ten name-match features is fitted on the rows of the other classes, and it names
the rows of the fold's classes among all classes of the catalog. No picture, no linear text model and no test row takes
part. A table shows the share of rows that are named right, over rows and over classes, for several sources of
synonyms.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from fusionclf.catalog import Catalog, Split, make_split, read_catalog, read_synonyms
from fusionclf.catalog.drafting import TrainTitles, draft_synonyms, find_lexicon
from fusionclf.catalog.drafting.title_terms import TitleTerms
from fusionclf.config.shipped import find_synonyms
from fusionclf.evaluation import CategoryGraph
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH, NAME_MATCH_FEATURES, ClassNames
from fusionclf.models.text_backbones import build_transformer
from fusionclf.stacking.class_places import class_families, class_paths
from fusionclf.stacking.drafted_synonyms import train_titles

FOLDS, ROWS_OF_CLASS, HIDDEN, STEPS, BATCH = 5, 30, 16, 150, 512
Names = Mapping[str, tuple[str, ...]]
Draft = Callable[[Mapping[str, str], TrainTitles], Names]


def _drafted(
    families: Mapping[str, str], trained: TrainTitles, *, words: bool, checked: bool = True
) -> Names:
    lexicon = find_lexicon() if words else None
    return draft_synonyms(families, trained if checked else TrainTitles(), lexicon).names


def _with_own_terms(families: Mapping[str, str], trained: TrainTitles) -> Names:
    """The draft, and for each class that has rows the terms that its own titles end with."""
    names, counted = (
        _drafted(families, trained, words=True),
        TitleTerms.from_titles(trained.titles, trained.labels),
    )
    return {name: (*own, *(term for term, _ in counted.of_class(name))) for name, own in names.items()}


SOURCES: dict[str, Draft] = {
    "none": lambda families, trained: {},
    "names": partial(_drafted, words=False),
    "names, WordNet": partial(_drafted, words=True, checked=False),
    "names, WordNet checked by titles (the default)": partial(_drafted, words=True),
    "the default, and terms of own titles": _with_own_terms,
    "written by a language model (fashion)": lambda families, trained: read_synonyms(
        find_synonyms("fashion")
    ),
}


@dataclass(frozen=True)
class HeldOutClasses:
    """Rows to name: at most 30 of each class with train rows.

    Attributes:
        families: class → its lowest category.
        paths: texts of name and place of the classes.
        trained: titles of all train rows.
        titles, targets: (n,) of the rows.
        fold_of: (C,) fold of each class.
    """

    families: dict[str, str]
    paths: list[str]
    trained: TrainTitles
    titles: list[str]
    targets: np.ndarray
    fold_of: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog, split: Split) -> "HeldOutClasses":
        names, graph, trained = (
            split.class_names(None),
            CategoryGraph.from_split(catalog, split),
            train_titles(catalog, split),
        )
        numbers = {name: number for number, name in enumerate(names)}
        targets = np.array([numbers[label] for label in trained.labels])
        order = np.random.default_rng(0).permutation(len(targets))
        rows = np.concatenate([order[targets[order] == n][:ROWS_OF_CLASS] for n in range(len(names))])
        families = dict(zip(names, class_families(graph, names).tolist(), strict=True))
        fold_of = np.random.default_rng(1).permutation(len(names)) % FOLDS
        titles = np.array(trained.titles, object)[rows].tolist()
        return cls(families, class_paths(graph, names), trained, titles, targets[rows], fold_of)

    def without(self, fold: int) -> TrainTitles:
        """The titles of the other folds' classes."""
        out = {name for name, own in zip(self.families, self.fold_of, strict=True) if own == fold}
        kept = [n for n, label in enumerate(self.trained.labels) if label not in out]
        return TrainTitles([self.trained.titles[n] for n in kept], [self.trained.labels[n] for n in kept])


def named_right(data: HeldOutClasses, draft: Draft, embed: Callable[[list[str]], np.ndarray]) -> np.ndarray:
    """(n,) whether each row is named right by a network that was fitted without its class."""
    hit = np.zeros(len(data.targets), bool)
    for fold in range(FOLDS):
        names = draft(data.families, data.without(fold))
        classes = ClassNames(
            list(data.families), data.paths, embed, [names.get(name, ()) for name in data.families]
        )
        features = torch.as_tensor(classes.compare(data.titles).batch(np.arange(len(hit)))[NAME_MATCH])
        out = data.fold_of[data.targets] == fold
        network = _fit(features[~out], torch.from_numpy(data.targets[~out]))
        with torch.no_grad():
            hit[out] = network(features[out]).squeeze(-1).argmax(1).numpy() == data.targets[out]
    return hit


def _fit(features: torch.Tensor, targets: torch.Tensor) -> torch.nn.Module:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(len(NAME_MATCH_FEATURES), HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1)
    )
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.02)
    weights = torch.bincount(targets, minlength=features.shape[1]).clamp(min=1).rsqrt()[targets]
    for _ in range(STEPS):
        rows = torch.randint(0, len(targets), (BATCH,))
        losses = torch.nn.functional.cross_entropy(
            network(features[rows]).squeeze(-1), targets[rows], reduction="none"
        )
        optimiser.zero_grad()
        (losses * weights[rows]).mean().backward()
        optimiser.step()
    return network


def _remembered(embed: Callable[[list[str]], np.ndarray]) -> Callable[[list[str]], np.ndarray]:
    known: dict[str, np.ndarray] = {}

    def found(texts: list[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, embed(new), strict=True) if new else ())
        return np.stack([known[text] for text in texts])

    return found


def main(folder: Path) -> None:
    """Print the table."""
    catalog = read_catalog(folder)
    data = HeldOutClasses.of(catalog, make_split(catalog))
    encoder = build_transformer("offline", frozen=True)
    embed = _remembered(encoder.eval().embed)
    print("| synonyms | names of all classes | rows | classes |\n| --- | ---: | ---: | ---: |")
    for label, draft in SOURCES.items():
        hit = named_right(data, draft, embed)
        count = sum(map(len, draft(data.families, data.trained).values()))
        of_classes = [hit[data.targets == number].mean() for number in np.unique(data.targets)]
        print(
            f"| {label} | {count:,} | {100 * hit.mean():.1f} | {100 * np.mean(of_classes):.1f} |", flush=True
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
