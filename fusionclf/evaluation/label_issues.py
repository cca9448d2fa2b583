"""Probable label errors, most probable first: confident learning on out-of-sample predictions."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fusionclf.evaluation.predictions import TOP
from fusionclf.evaluation.ranks import has_probabilities


def find_label_issues(runs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Products whose label is probably wrong, by the mean prediction of several models.

    A label is an issue if another class is more likely, and at least as likely as it is on average for the
    products labelled with it (its self-confidence). A class that is not among the first five of a run has
    probability 0 there. The score is the margin between the two probabilities, times the self-confidence of the
    label's class (low for classes that models seldom predict, such as those without training rows), times the
    share of the runs that predicted the product. A run of labels without probabilities counts as one vote per
    product: 1 for its class, 0 for all others.

    Args:
        runs: for each run its predictions of products that it was not fitted on; each product occurs once.

    Returns:
        A row for each issue, the highest score first: id, label, suggestion, prob_label,
        prob_suggestion, score, agreeing (runs whose predicted class is the suggestion), scored (runs that
        predicted the product), label_train_count (the smallest of all runs).

    Source: Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels (2021), sections
    3.1 (thresholds by class) and 3.2 (ranking by margin); the two factors of the score are this project's.
    """
    runs = [frame if has_probabilities(frame) else _as_votes(frame) for frame in runs]
    products = _averages(runs)
    prob_label = products["prob_label"].to_numpy(np.float64)
    member, names = pd.factorize(products["label"])
    usual = dict(zip(names, np.bincount(member, prob_label) / np.bincount(member), strict=True))
    found = _rivals(runs, products).join(products, on="id")
    # For a class that is no product's label: the mean of all classes.
    overall = prob_label.mean()
    least = np.array([usual.get(name, overall) for name in found["suggestion"]], np.float64)
    margin = found["prob_suggestion"] - found["prob_label"]
    known = np.array([usual[name] for name in found["label"]], np.float64)
    found["score"] = margin * known * found["scored"] / len(runs)
    sure = (margin > 0) & (found["prob_suggestion"] >= least)
    order = ["id", "label", "suggestion", "prob_label", "prob_suggestion", "score", "agreeing", "scored"]
    found = found.loc[sure, [*order, "label_train_count"]]
    return found.sort_values(["score", "id"], ascending=[False, True], ignore_index=True)


def _as_votes(frame: pd.DataFrame) -> pd.DataFrame:
    """Labels without probabilities, with 1 for each product's class and 0 for others."""
    right = (frame["label_1"] == frame["label"]).astype(float)
    return frame.assign(prob_1=1.0, prob_label=right)


def _averages(runs: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """By id: label, scored, prob_label averaged over the runs that scored it, label_train_count."""
    rows = pd.concat([run[["id", "label", "prob_label", "label_train_count"]] for run in runs])
    grouped = rows.groupby("id", sort=False)
    return pd.DataFrame(
        {
            "label": grouped["label"].first(),
            "prob_label": grouped["prob_label"].mean(),
            "label_train_count": grouped["label_train_count"].min(),
            "scored": grouped.size(),
        }
    )


def _rivals(runs: Sequence[pd.DataFrame], products: pd.DataFrame) -> pd.DataFrame:
    """id, suggestion, prob_suggestion, agreeing: for each product the most likely class other than its label."""
    answers = pd.concat(
        [
            pd.DataFrame(
                {
                    "id": run["id"],
                    "label": run["label"],
                    "suggestion": run[f"label_{rank}"],
                    "prob": run[f"prob_{rank}"],
                    "agreeing": int(rank == 1),
                }
            )
            for run in runs
            for rank in range(1, TOP + 1)
        ]
    )
    other = answers.loc[answers["suggestion"].notna() & (answers["suggestion"] != answers["label"])]
    summed = other.groupby(["id", "suggestion"], sort=True)[["prob", "agreeing"]].sum().reset_index()
    summed["prob_suggestion"] = summed["prob"] / products["scored"].reindex(summed["id"]).to_numpy(np.float64)
    best = summed.sort_values("prob_suggestion", ascending=False, kind="stable").drop_duplicates("id")
    return best[["id", "suggestion", "prob_suggestion", "agreeing"]]
