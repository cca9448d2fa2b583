"""What the words of a report mean: shown in the report, and written to docs/glossary.md by docs/generate.py."""

# Word as a heading has it → its definition, one or two sentences.
DEFINITIONS = {
    "n": "Number of test products that the run predicted.",
    "top-1": "Share of the test products whose most likely class is the right one, in per cent. Also called accuracy.",
    "top-5": "Share of the test products whose right class is among the five most likely ones, in per cent.",
    "seen": "Top-1 over the products whose class has a training row.",
    "unseen": "Top-1 over the products whose class has no training row. Only a model that reads class names finds it.",
    "harmonic": "Harmonic mean of seen and unseen. It is high only where both are.",
    "macro F1": "Mean over the classes of F1, the harmonic mean of precision and recall. Every class counts the same, "
    "however rare it is.",
    "balanced": "Balanced accuracy: mean over the classes of the share of their products that are found.",
    "ECE": "Expected calibration error: how far probabilities are from accuracy, in per cent, by 15 bins. Lower is "
    "better.",
    "training": "Time of the whole training.",
    "products/s": "Products that the model predicts in a second, on the device of that run.",
    "parameters": "Number of weights of the model.",
    "MiB": "Peak memory of the run.",
    "ceiling": "Closed-set ceiling: the highest top-1 of a model that only predicts classes that it was trained on.",
    "lead": "Points of top-1 by which the best run is ahead of the next one. It holds where it is more than noise: "
    "McNemar's p, corrected by Holm's method, is below 0.05, and the 95 % interval lies above 0.",
    "points": "Difference of two percentages. From 80 % to 82 % are 2 points.",
    "95 % interval": "Range of the value for other test products of the same kind, by the bootstrap: 95 of 100 such "
    "ranges hold it.",
    "only the best right": "Products that the best run gets right and the other run wrong.",
    "only the other right": "Products that the other run gets right and the best run wrong.",
    "p": "Probability of a difference at least as large if both runs were equally good, by McNemar's exact test.",
    "p (Holm)": "The same, corrected for the number of runs that are compared, by Holm's method.",
    "train rows": "Training products of the class.",
    "test rows": "Test products of the class.",
    "predicted as": "The wrong class that the model predicts for products of the class on the left.",
    "errors": "Wrong predictions.",
    "mean distance": "Mean number of edges of the category graph between the right class and a wrong one. 2 are "
    "siblings, which have one category.",
    "empty cells": "Test products whose cell in the column is empty; they do not count.",
    "majority": "Top-1 of a model that always predicts the most frequent value of the training rows.",
    "share, %": "Products of the highest confidence that are kept, as a share of all. The cells have their accuracy.",
    "target": "Wanted share of correct predictions among the accepted ones, in per cent.",
    "accepted": "Share of the products whose prediction is accepted at the target, in per cent.",
    "precision": "Share of correct predictions among the accepted ones, in per cent.",
    "review": "Share of the products that a person should look at: the prediction is more often right than wrong.",
    "rejected": "Share of the products whose prediction is more often wrong than right.",
    "no level": "Share of the products for which not even the top category is certain enough.",
    "unseen classes": "Classes of test products without a training row.",
    "title also in train": "Test products with the exact title of a training product. They are easier.",
    "picture also in train": "Test products with the same picture as a training product. They are easier.",
    "seed": "Number that random choices of the training start from. The same seed gives the same run.",
}

# In the report on several labels per product, where some words mean something else.
OF_LABEL_SETS = {
    "n": DEFINITIONS["n"],
    "micro F1": "Harmonic mean of precision and recall, both over all pairs of a product and a label.",
    "macro F1": "Mean over the labels of F1, the harmonic mean of a label's precision and recall. Labels that no test "
    "product has do not count.",
    "mAP": "Mean over the labels of average precision: the label's precision, averaged over its products ranked by "
    "probability. It does not depend on thresholds.",
    "precision": "Share of the predicted labels that the products have.",
    "recall": "Share of the products' labels that are predicted.",
    "all right": "Share of the products whose labels are all predicted, and no others. Also called subset accuracy.",
    "ranking precision": "Label ranking average precision: for each right label, the share of right ones among labels "
    "ranked as high or higher; then the mean.",
    "labels": "Mean number of labels of a product.",
    "predicted": "Mean number of labels that are predicted for a product.",
    **{
        word: DEFINITIONS[word]
        for word in ("training", "products/s", "parameters", "MiB", "points", "95 % interval")
    },
    "train rows": "Training products with the label.",
    "test rows": "Test products with the label.",
}


def definition_id(word: str) -> str:
    """The id that the word's definition has in a page.

    >>> definition_id("p (Holm)")
    'def-p-holm'
    """
    letters = "".join(letter if letter.isalnum() else " " for letter in word.lower())
    return "-".join(["def", *letters.split()])
