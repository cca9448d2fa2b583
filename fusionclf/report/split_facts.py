"""What a report says about the split: sizes and ceilings of its parts, its rule, and what is in train and test."""

from collections.abc import Sequence
from typing import Any

from fusionclf.config import SplitConfig
from fusionclf.evaluation.predictions import LEAKED_PICTURE
from fusionclf.report.collect import Run
from fusionclf.report.ranking import ranked, scored
from fusionclf.report.text import kept_subsets, resampled
from fusionclf.run_schema import ALL_CLASSES


def split_facts(runs: Sequence[Run], parts: Sequence[str]) -> dict[str, Any]:
    """Counts, ceilings, leaked titles and leaked pictures of the split.

    The classes and titles of a part come from the predictions of the run that scored the most products.
    """
    split = runs[0].split
    pictures = {part: _leaked_pictures(runs, part) for part in parts}
    rows = []
    for part in parts:
        frame = ranked(runs, part)[0].frames[part]
        own = list(split["classes"]) if part == ALL_CLASSES else [part]
        subsets = ("train", "validation", "test")
        seen = frame["label_train_count"].to_numpy() > 0
        rows.append(
            {
                "part": part,
                "classes": sum(len(split["classes"][name]) for name in own),
                **{subset: sum(len(split["ids"][name][subset]) for name in own) for subset in subsets},
                "scored": len(frame),
                "unseen_rows": int((~seen).sum()),
                "unseen_classes": len(set(frame["label"].to_numpy()[~seen])),
                "ceiling": 100 * float(seen.mean()) if len(seen) else None,
                "leaked_rows": int(frame["leaked_title"].to_numpy(bool).sum()),
                "leaked": 100 * float(frame["leaked_title"].to_numpy(bool).mean()) if len(frame) else None,
                "leaked_pictures": pictures[part][0] if len(pictures[part]) == 1 else None,
            }
        )
    return {
        "spec": split["spec"],
        "rule": _rule(split["spec"]),
        "resampled": list(resampled(SplitConfig.model_validate(split["spec"]).group_columns)),
        "parts": rows,
        "leaked": _leaked(rows, "leaked_rows"),
        "leaked_pictures": {
            **_leaked(rows, "leaked_pictures"),
            "why_unknown": _why_unknown([pictures[part] for part in own_parts(parts)]),
        },
        "catalog": runs[0].environment.get("catalog") or {},
        "sha256": split["sha256"],
        "catalog_sha256": split["catalog_sha256"],
    }


def _rule(spec: dict[str, Any]) -> str:
    """The rule of the split as a sentence."""
    rules = {
        "year_parity": "even years are train products, odd years and products without a year test products",
        "random": f"{100 * (spec.get('test_fraction') or 0):g} % of each class, at random, are test products",
        "column": f"the column {spec.get('column')} marks the test products",
    }
    text = rules.get(str(spec.get("rule")), str(spec.get("rule")))
    text += ", then train and test are exchanged" if spec.get("swap") else ""
    text += kept_subsets(spec)
    groups = [str(name).replace("_", " ") for name in spec.get("group_by") or ()]
    return text + (f"; products with one {' or one '.join(groups)} stay on one side" if groups else "")


def _leaked(rows: Sequence[dict[str, Any]], column: str) -> dict[str, Any]:
    """The sum of a column over all parts of the split; None where one is not known."""
    own = own_parts([row["part"] for row in rows])
    rows = [row for row in rows if row["part"] in own]
    total, counts = sum(row["scored"] for row in rows), [row[column] for row in rows]
    leaked = None if None in counts else sum(counts)
    share = 100 * leaked / total if leaked is not None and total else None
    return {"rows": leaked, "of": total, "share": share}


def _leaked_pictures(runs: Sequence[Run], part: str) -> list[int]:
    """Test rows whose picture is in train, by the runs that read pictures: one number, unless pictures have changed."""
    most = max(scored(run, part) for run in runs)
    frames = [run.frames[part] for run in runs if scored(run, part) == most]
    return sorted(
        {int(frame[LEAKED_PICTURE].to_numpy(bool).sum()) for frame in frames if LEAKED_PICTURE in frame}
    )


def _why_unknown(found: Sequence[list[int]]) -> str:
    """Why the number of leaked pictures is not known; "" where it is."""
    if any(len(counts) > 1 for counts in found):
        return "the pictures have changed between these runs"
    return "" if all(found) else "none of these runs read pictures"


def own_parts(parts: Sequence[str]) -> list[str]:
    """The parts without all classes together, which may be the only one."""
    return [part for part in parts if part != ALL_CLASSES] or list(parts)
