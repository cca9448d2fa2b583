"""All guesses about a catalog, in the order in which each needs the ones before."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from fusionclf.catalog.describing.attribute_guess import guess_attributes
from fusionclf.catalog.describing.evidence import SET, Evidence, Guess, clean_table, listed
from fusionclf.catalog.describing.key_guess import guess_id, guess_year
from fusionclf.catalog.describing.label_guess import guess_categories, guess_label, label_cells
from fusionclf.catalog.describing.leaks import find_leaks
from fusionclf.catalog.describing.list_guess import with_label_list
from fusionclf.catalog.describing.picture_guess import guess_pictures
from fusionclf.catalog.describing.text_guess import guess_texts, guess_title
from fusionclf.catalog.describing.variant_guess import find_variant_column
from fusionclf.config import CatalogConfig, SplitConfig
from fusionclf.errors import CatalogError

KAGGLE = CatalogConfig()


@dataclass(frozen=True)
class Description:
    """What a catalog's columns are.

    Attributes:
        guesses: one for each setting, in the order of the file that is written.
        examples: column → its first three values.
        unused: column → why no model reads it.
        rows: that were looked at.
    """

    guesses: tuple[Guess, ...]
    examples: dict[str, list[str]]
    unused: dict[str, str]
    rows: int

    @property
    def settings(self) -> dict[str, Any]:
        """Setting → value."""
        return {guess.setting: guess.value for guess in self.guesses}

    @property
    def doubts(self) -> list[str]:
        """What is unsure."""
        return [doubt for guess in self.guesses for doubt in guess.doubts]


def describe_table(
    table: pd.DataFrame, root: Path, file: str, pinned: dict[str, Any] | None = None
) -> Description:
    """The guessed settings of a catalog.

    Args:
        table: rows of the catalog's file, all columns as text.
        root: the catalog's folder.
        file: the table's path below `root`.
        pinned: settings that are kept, by path, such as {"catalog.title": "name"}.

    Raises:
        CatalogError: there is no row, or a pinned column is not there.
    """
    if table.empty:
        raise CatalogError(f"{root / file}: has no rows; a catalog needs products")
    evidence = Evidence(root, clean_table(table), dict(pinned or {}))
    guesses = [Guess("catalog.file", file, "the table"), *_guess_columns(evidence)]
    guesses += _guess_split(evidence, {guess.setting: guess for guess in guesses})
    set_guesses = {guess.setting for guess in guesses}
    guesses += [Guess(name, value, SET) for name, value in evidence.pinned.items() if name not in set_guesses]
    guesses = [
        Guess(g.setting, evidence.pinned[g.setting], SET, g.columns) if g.setting in evidence.pinned else g
        for g in guesses
    ]
    examples = {name: profile.examples() for name, profile in evidence.profiles.items()}
    unused = {
        p.name: _why_unused(p.name, evidence)
        for p in evidence.profiles.values()
        if p.name in _unused(evidence)
    }
    return Description(tuple(guesses), examples, unused, len(table))


def _guess_columns(evidence: Evidence) -> list[Guess]:
    """The guesses of the section `catalog`, in the order of the settings."""
    pinned = {name for setting in evidence.pinned for name in evidence.pinned_columns(setting) or ()}
    evidence.take(pinned)
    pictures = guess_pictures(evidence)
    identity = guess_id(evidence)
    title = guess_title(evidence)
    named = str(title.value) if title.value in evidence.profiles else None
    labels = with_label_list(evidence, guess_label(evidence, named))
    label = labels[0].columns[0] if labels[0].columns else next(iter(evidence.profiles))
    settings = {**{guess.setting: guess.value for guess in labels}, **evidence.pinned}
    categories = _categories(evidence, label, named, settings)
    year = guess_year(evidence)
    kaggle = _is_kaggle(evidence)
    metadata = KAGGLE.metadata if kaggle else ()
    evidence.take(metadata)
    variant = None if "split.group_by" in evidence.pinned else find_variant_column(evidence, named, label)
    evidence.variant = variant
    evidence.take([variant[0]] if variant else [])
    evidence.leaks = find_leaks(evidence, label_cells(evidence, label, settings))
    evidence.take(evidence.leaks)
    texts = guess_texts(evidence, named)
    attributes = guess_attributes(evidence)
    reason = "the usual ones of the Kaggle layout" if kaggle else "none needed"
    return [
        identity, *pictures, title, texts, attributes, *labels, categories,
        Guess("catalog.metadata", metadata, reason, metadata), year,
    ]  # fmt: skip


def _categories(evidence: Evidence, label: str, title: str | None, settings: dict[str, Any]) -> Guess:
    """The columns above the class; none where the class is a path, which has its own steps above, or a list."""
    if settings.get("catalog.label_list") and "catalog.categories" not in evidence.pinned:
        return Guess("catalog.categories", (), "a product with several labels has no one path")
    if settings.get("catalog.label_separator") and "catalog.categories" not in evidence.pinned:
        return Guess("catalog.categories", (), "the steps above the class are in its path")
    return guess_categories(evidence, label, title)


def _is_kaggle(evidence: Evidence) -> bool:
    """Whether all columns of the Kaggle layout are there, in their roles."""
    named = (KAGGLE.id, KAGGLE.title, KAGGLE.label, *KAGGLE.categories, *KAGGLE.metadata, KAGGLE.year)
    return all(name in evidence.profiles for name in named)


def _guess_split(evidence: Evidence, found: dict[str, Guess]) -> list[Guess]:
    """The guesses of the section `split`."""
    if _is_kaggle(evidence):
        return [
            Guess("split.rule", "year_parity", "the Kaggle layout: even years train, odd ones test"),
            Guess("split.group_by", SplitConfig().group_by, "the split of the published results"),
        ]
    groups = ["title"] if found["catalog.title"].value else []
    groups += ["picture"] if found["catalog.picture"].columns else []
    reason = "equal titles or pictures are the same product"
    columns: tuple[str, ...] = ()
    if evidence.variant is not None:
        name, why = evidence.variant
        columns = (name,)
        groups.append(name)
        reason += f"; {name}: {why}"
    return [
        Guess("split.rule", "random", "test rows drawn at random"),
        Guess("split.group_by", tuple(dict.fromkeys(groups)), reason, columns),
    ]


def _unused(evidence: Evidence) -> set[str]:
    """Columns that no guess names."""
    return {p.name for p in evidence.free()} | set(evidence.leaks)


def _why_unused(name: str, evidence: Evidence) -> str:
    if name in evidence.leaks:
        return evidence.leaks[name]
    profile = evidence.profiles[name]
    if profile.is_constant:
        return "nearly always the same"
    if profile.is_url:
        return "addresses"
    if profile.is_date:
        return "dates"
    if profile.unique > 0.95 and profile.is_code:
        return "another id"
    return (
        "says little about the class" if profile.kind == "keeping" else "neither text nor a usual attribute"
    )


def unused_line(unused: dict[str, str]) -> str:
    """Columns that no model reads and why, in one line."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in unused.items():
        by_reason.setdefault(reason, []).append(name)
    return "; ".join(f"{listed(names, 8)} ({reason})" for reason, names in by_reason.items())
