"""The first sentences of a report: what was compared, on what, and who leads, for a reader who knows none of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from fusionclf.run_schema import ALL_CLASSES


def introduction(
    runs: int, parts: Sequence[Mapping[str, Any]], verdicts: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Three sentences for a reader who does not know the project.

    Args:
        runs: number of compared runs.
        parts: rows of `split_facts`: part, train, validation and test products, classes.
        verdicts: part → `verdict`.

    >>> facts = {"part": "joint", "classes": 2, "train": 60, "validation": 20, "test": 20}
    >>> lead = {"best": "b", "top1": 81.5, "next": "a", "difference": 2.0, "next_holds": False}
    >>> print(introduction(2, [facts], {"joint": lead})[2])
    On all classes together, b is right for 81.50 % of these products, 2.00 points ahead of a, which chance may explain.
    """
    own = [row for row in parts if row["part"] != ALL_CLASSES] or list(parts)
    classes, test = (sum(row[name] for row in own) for name in ("classes", "test"))
    learned = sum(row["train"] + row["validation"] for row in own)
    what = f"compares {runs} models" if runs > 1 else "shows one model"
    predict = "predict" if runs > 1 else "predicts"
    return [
        f"This report {what} that {predict} the class of a catalog product, such as its article type, from its "
        "picture, what is written about it, or both.",
        f"{'They' if runs > 1 else 'It'} learned from {learned:,} products of {classes:,} classes and had to name the "
        f"class of {test:,} other products, whose right class is known.",
        _who_leads({row["part"]: int(row["classes"]) for row in parts}, verdicts),
    ]


def _who_leads(classes: Mapping[str, int], verdicts: Mapping[str, Mapping[str, Any]]) -> str:
    """Of all classes where there is such a comparison, else of each part."""
    contested = {part: found for part, found in verdicts.items() if found["next"] is not None}
    shown = contested or dict(verdicts)
    if ALL_CLASSES in shown:
        shown = {ALL_CLASSES: shown[ALL_CLASSES]}
    text = "; ".join(f"{_where(part, classes[part])}, {_leader(found)}" for part, found in shown.items())
    return f"{text[:1].upper()}{text[1:]}."


def _where(part: str, classes: int) -> str:
    if part == ALL_CLASSES:
        return "on all classes together"
    return f"on the other {classes:,} classes" if part == "rest" else f"on the {classes:,} classes of {part}"


def _leader(found: Mapping[str, Any]) -> str:
    text = f"{found['best']} is right for {found['top1']:.2f} % of these products"
    if found["next"] is None:
        return text
    if found["difference"] == 0:
        return f"{text}, as often as {found['next']}"
    if found["difference"] < 0:  # a run that predicted fewer products is never ranked first
        return f"{text}, but {found['next']} is ahead on the products that both predicted"
    chance = "more than chance explains" if found["next_holds"] else "which chance may explain"
    return f"{text}, {found['difference']:.2f} points ahead of {found['next']}, {chance}"
