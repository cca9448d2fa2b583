"""Accuracy of a fusion run on its test products, from pictures alone and from titles alone.

    python benchmarks/missing_modality.py runs/fusion

Prints a Markdown table: top-1 of each part among the part's classes, and over all classes. Compare with `image` and
`text` runs.
"""

import sys
from pathlib import Path

import numpy as np

import fusionclf
from fusionclf.batches import open_cache
from fusionclf.catalog import Split, read_catalog
from fusionclf.config import CatalogConfig, build_settings, read_yaml
from fusionclf.prediction.network import NetworkModel

CHUNK = 2048
HIDDEN = {"both": (), "title alone": ("picture",), "picture alone": ("title",)}


def main(run: Path) -> None:
    values = read_yaml(run / "config.yaml")
    catalog = read_catalog(Path(values["data"]), build_settings(CatalogConfig, values["catalog"]))
    split = Split.load(run / "split.json")
    network = fusionclf.load(run, device="cpu").model
    assert isinstance(network, NetworkModel) and network.cover is not None
    cache = open_cache(catalog, network.cover)
    rows = split.rows(catalog, None, "test")
    labels = catalog.table["label"].to_numpy(object)[rows]
    fields = catalog.fields.iloc[rows]
    classes = np.array(network.classes, object)
    print(f"| modalities | {' | '.join(split.classes)} | all classes |")
    print("| --- |" + " ---: |" * (len(split.classes) + 1))
    for name, hidden in HIDDEN.items():
        chunks = []
        for start in range(0, len(rows), CHUNK):
            chunk = slice(start, start + CHUNK)
            pictures = type(cache)(cache.pixels, cache.offsets[rows[chunk]], cache.sizes[rows[chunk]])
            if "picture" in hidden:
                pictures = type(cache)(pictures.pixels, pictures.offsets, np.zeros_like(pictures.sizes))
            own = fields.iloc[chunk].reset_index(drop=True)
            if "title" in hidden:
                own = own.assign(**dict.fromkeys(own.columns, ""))
            chunks.append(network.probabilities(pictures, own))
        probabilities = np.concatenate(chunks)
        accuracies = []
        for candidates in (*split.classes.values(), tuple(classes)):
            known, own = np.isin(labels, candidates), np.isin(classes, candidates)
            predicted = classes[own][probabilities[known][:, own].argmax(axis=1)]
            accuracies.append(f"{100 * np.mean(predicted == labels[known]):.2f}")
        print(f"| {name} | {' | '.join(accuracies)} |", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
