"""The best run of each part, its lead, and whether the lead is significant."""

from collections.abc import Mapping, Sequence
from typing import Any

from fusionclf.evaluation import bootstrap_interval, correct, group_numbers, holm, mcnemar_exact
from fusionclf.evaluation.metrics import METRICS
from fusionclf.report.collect import Run
from fusionclf.run_schema import ALL_CLASSES

LOWER_IS_BETTER = ("ece",)
LEVEL = 0.05


def scored(run: Run, part: str) -> int:
    """Number of products of the part that the run scored."""
    return len(run.frames[part]) if part in run.frames else 0


def ranked(runs: Sequence[Run], part: str) -> list[Run]:
    """Runs with the part, best top-1 first; runs that scored fewer products come last."""
    most = max(scored(run, part) for run in runs)
    with_part = [run for run in runs if part in run.frames]
    return sorted(with_part, key=lambda run: (scored(run, part) < most, -run.top1(part)))


def best_values(runs: Sequence[Run], part: str) -> dict[str, list[str]]:
    """Metric → names of the runs that reach the best value, among the runs that scored the most products."""
    order = ranked(runs, part)
    rivals = [run for run in order if scored(run, part) == scored(order[0], part)]
    best = {}
    for metric in METRICS:
        values = {run.name: (run.scores(part) or {}).get(metric) for run in rivals}
        known = [value for value in values.values() if value is not None]
        # If all runs have the same value, none is best.
        top = (min(known) if metric in LOWER_IS_BETTER else max(known)) if len(set(known)) > 1 else None
        best[metric] = [name for name, value in values.items() if value is not None and value == top]
    return best


def against_best(runs: Sequence[Run], part: str) -> list[dict[str, Any]]:
    """The best run of a part against each other one, on the products that both scored.

    Returns:
        A row for each other run, best first: products, difference in points of top-1 with its 95 % interval
        (bootstrap over groups), how many products only one of them gets right, McNemar's p, and p after Holm.
    """
    first, *others = ranked(runs, part)
    rows = []
    for other in others:
        columns = ["id", "label", "label_1"]
        both = first.frames[part].merge(other.frames[part][columns], on="id", suffixes=("", "_other"))
        right = correct(both)
        right_other = (both["label_1_other"] == both["label"]).to_numpy(bool)
        ahead = right.astype(float) - right_other
        rows.append(
            {
                "best": first.name,
                "other": other.name,
                "same_but_seed": _without_seed(first) == _without_seed(other),
                "products": len(both),
                "difference": 100 * float(ahead.mean()) if len(both) else None,
                "interval": bootstrap_interval(ahead, group_numbers(both)),
                "only_best_right": int((ahead > 0).sum()),
                "only_other_right": int((ahead < 0).sum()),
                "p": mcnemar_exact(right, right_other),
            }
        )
    for row, adjusted in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = adjusted
    return rows


def _without_seed(run: Run) -> dict[str, Any]:
    return {key: value for key, value in run.config.items() if key != "seed"}


def headline(
    runs: Sequence[Run], part: str, rows: Sequence[dict[str, Any]], published: Sequence[dict[str, Any]]
) -> str:
    """The result on a part as a sentence.

    A lead holds where McNemar's p after Holm is below 0.05, and the interval of the lead, which resamples whole groups,
    is above 0.
    """
    best = ranked(runs, part)[0]
    scores = best.scores(part) or {}
    where = "With all classes as candidates" if part == ALL_CLASSES else f"On {part}"
    rivals = _rivals(rows)
    claim = _claim(rivals)
    text = f"{where}, {best.name} " + (f"is {claim}: " if claim else "gets ")
    text += f"{scores['top1']:.2f} % of {scores['n']:,} test products right"
    if not rivals and any(row["products"] for row in rows):
        text += "; the other runs have the same settings, apart from the seed"
    ahead = _far_ahead(rivals)
    shown = [row for row in rivals if row is rivals[0] or row is ahead]
    text += "".join(_gap(row, scores["n"]) for row in shown) + _holds(rivals)
    return f"{text}.{_against_published(scores['top1'], part, published)}"


def _rivals(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The runs to compare the best run with: all but its own other seeds."""
    return [row for row in rows if not row["same_but_seed"] and row["products"]]


def _lead_holds(row: dict[str, Any]) -> bool:
    # A run that scored fewer products is never ranked first, but may be ahead on those.
    return row["p_holm"] < LEVEL and row["interval"] is not None and row["interval"][0] > 0


def _far_ahead(rivals: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """The rival that is furthest ahead of the best run on the products that both scored; None where none is."""
    ahead = [row for row in rivals if row["difference"] < 0]
    return min(ahead, key=lambda row: row["difference"]) if ahead else None


def _claim(rivals: Sequence[dict[str, Any]]) -> str | None:
    """The claim about the run with the best top-1: best, ahead, level or behind; None without a rival."""
    if not rivals:
        return None
    if all(_lead_holds(row) for row in rivals):
        return "best"
    first, ahead = rivals[0], _far_ahead(rivals)
    if ahead is None:
        return f"level with {first['other']}" if first["difference"] == 0 else "ahead"
    behind = f"behind {ahead['other']} on the products that both scored"
    if first["difference"] < 0:
        return behind
    return f"{'ahead of' if first['difference'] else 'level with'} {first['other']}, but {behind}"


def verdict(runs: Sequence[Run], part: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The headline as data: the best run, its lead over the next one, and whether that lead and all leads hold."""
    best = ranked(runs, part)[0]
    rivals = _rivals(rows)
    lead = {"next": None, "difference": None, "interval": None, "next_holds": None, "holds": None}
    if rivals:
        lead = {"next": rivals[0]["other"], **{key: rivals[0][key] for key in ("difference", "interval")}}
        lead["next_holds"] = _lead_holds(rivals[0])
        lead["holds"] = all(_lead_holds(row) for row in rivals)
    return {"best": best.name, "top1": (best.scores(part) or {})["top1"], "claim": _claim(rivals), **lead}


def summary(verdicts: Mapping[str, dict[str, Any]]) -> str:
    """One line: which run is best on which parts, or only ahead, level or behind where a lead does not hold.

    Args:
        verdicts: part → `verdict`; parts that only one run scored are ignored.
    """
    contested = {part: found for part, found in verdicts.items() if found["next"] is not None}
    if not contested:
        return f"{next(iter(verdicts.values()))['best']}: the metrics of one model"
    places: dict[str, dict[str, list[str]]] = {}
    for part, found in contested.items():
        kinds = places.setdefault(found["best"], {})
        kinds.setdefault(found["claim"], []).append(part)
    sentences = []
    for name, kinds in places.items():
        claims = [f"{claim} on {_listed(own)}" for claim, own in sorted(kinds.items(), key=_best_first)]
        sentences.append(f"{name} is {', '.join(claims)}")
    return "; ".join(sentences)


def _best_first(claim: tuple[str, list[str]]) -> bool:
    return claim[0] != "best"


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _gap(row: dict[str, Any], scored_by_best: int) -> str:
    """By how much the best run is ahead of another one, or behind it."""
    gap, (low, high), side = row["difference"], row["interval"], "ahead of"
    if gap < 0:
        gap, low, high, side = -gap, 0 - high, 0 - low, "behind"  # 0 - 0.0 has no sign
    text = f", {_points(gap)} {side} {row['other']} (95 % interval {low:.2f} to {high:.2f}"
    some = row["products"] < scored_by_best
    return f"{text}, on the {row['products']:,} products that both scored)" if some else f"{text})"


def _holds(rivals: Sequence[dict[str, Any]]) -> str:
    """Which leads hold; "" where the best run leads no other."""
    leads = [row for row in rivals if row["difference"] >= 0]
    close = [row["other"] for row in leads if not _lead_holds(row)]
    if close:
        rest = ", every other lead does" if len(close) < len(leads) else ""
        return f"; the lead over {_listed(close)} does not hold{rest}"
    if len(leads) == 1:
        return f"; the lead over {leads[0]['other']} holds"
    return "; every lead holds" if leads else ""


def _against_published(top1: float, part: str, published: Sequence[dict[str, Any]]) -> str:
    if not published or part not in published[0]:
        return ""
    row = max(published, key=lambda row: row[part]["top1"])
    best = row[part]["top1"]
    side = "above" if top1 >= best else "below"
    name = f"{row['name']}, {row['pictures']}"
    gap = f"{_points(abs(top1 - best))} {side} the reference's best published value"
    return f" That is {gap}, {best:.2f} ({name})."


def _points(value: float) -> str:
    return f"{value:.2f} points"
