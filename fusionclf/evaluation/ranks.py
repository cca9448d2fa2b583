"""Parts that a predictions file may lack: imported labels have no probabilities and only one rank."""

import pandas as pd

from fusionclf.evaluation.predictions import TOP


def has_probabilities(frame: pd.DataFrame) -> bool:
    """Whether a predictions file holds probabilities; imported labels have none."""
    return bool(frame["prob_1"].notna().any()) or not len(frame)


def has_top5(frame: pd.DataFrame) -> bool:
    """Whether each product has five ranked classes, or all classes where there are fewer.

    Imported labels have one rank, and whether the label is among the next four is not known.
    """
    ranked = frame[[f"label_{rank}" for rank in range(1, TOP + 1)]]
    there = ranked.notna().to_numpy()
    fewest = int(there.sum(axis=1).min()) if len(frame) else TOP
    return fewest == TOP or len({*frame["label"], *ranked.to_numpy(object)[there]}) <= fewest
