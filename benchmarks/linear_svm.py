"""The linear SVM over all classes at once against scikit-learn's LinearSVC: processor seconds, loss, accuracy.

    python -m benchmarks.linear_svm [DATA …]

Both fit the features of `baseline linear` of each catalog's train rows, and score its validation rows; then made-up
titles of 2,000 classes. No test row is read.
"""

import sys
import time
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.svm import LinearSVC

from fusionclf.catalog import make_split, read_catalog
from fusionclf.config import BaselineConfig
from fusionclf.linear_svm import LinearSVM, fit_linear_svm
from fusionclf.workflows.settings import load_run_settings

Data = tuple[
    list[str], np.ndarray, list[str], np.ndarray
]  # train titles and classes, validation titles and classes


def of_catalog(folder: Path) -> Data:
    """Titles and classes of a catalog with the shipped settings."""
    settings = load_run_settings(BaselineConfig, "linear", folder, None, ())
    catalog = read_catalog(folder, settings.catalog)
    split = make_split(catalog, settings.split)
    titles, labels = (catalog.table[name].to_numpy(object) for name in ("title", "label"))
    train, validation = (split.rows(catalog, None, name) for name in ("train", "validation"))
    return list(titles[train]), labels[train], list(titles[validation]), labels[validation]


def made_up(classes: int, seed: int = 0) -> Data:
    """Titles of one to six products a class, each with the two words of its class, one of 50 and one of 20 others."""
    generator = np.random.default_rng(seed)
    words = ["".join(generator.choice(list("abdegiklmnoprstu"), 6)) for _ in range(classes // 4 + 70)]
    own = generator.integers(70, len(words), (classes, 2))
    numbers = np.repeat(np.arange(classes), generator.integers(1, 7, classes))
    titles = [
        f"{words[generator.integers(50)]} {words[a]} {words[b]} {words[50 + generator.integers(20)]}"
        for a, b in own[numbers]
    ]
    train = generator.random(len(numbers)) < 0.8
    names = numbers.astype(str).astype(object)
    rows = np.flatnonzero(train), np.flatnonzero(~train)
    return [titles[n] for n in rows[0]], names[rows[0]], [titles[n] for n in rows[1]], names[rows[1]]


def loss(features: sparse.csr_matrix, targets: np.ndarray, svm: LinearSVM) -> float:
    """Sum over the classes."""
    signs = np.where(targets[:, None] == svm.classes, 1, -1)
    hinge = np.maximum(1 - signs * (features @ svm.weights.T + svm.bias), 0)
    return float((svm.weights**2).sum() / 2 + (svm.bias**2).sum() / 2 + (hinge**2).sum())


def compare(name: str, data: Data) -> str:
    """A line of the table."""
    titles, targets, others, own = data
    vectorizer = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2)
    features, held_out = vectorizer.fit_transform(titles), vectorizer.transform(others)
    cells = [name, f"{len(titles):,}", f"{len(set(targets)):,}"]
    found: list[tuple[float, float, float]] = []
    for fit in (_sklearn, fit_linear_svm):
        started = time.process_time()
        svm = fit(features, targets)
        seconds = time.process_time() - started
        right = svm.classes[(held_out @ svm.weights.T + svm.bias).argmax(axis=1)] == own
        found.append((seconds, loss(features, targets, svm), 100 * right.mean()))
    (slow, best, expected), (fast, reached, top1) = found
    cells += [f"{slow:.1f}", f"{fast:.1f}", f"{slow / fast:.1f}", f"{reached / best:.4f}"]
    return f"| {' | '.join([*cells, f'{expected:.2f}', f'{top1:.2f}'])} |"


def _sklearn(features: sparse.csr_matrix, targets: np.ndarray) -> LinearSVM:
    svm = LinearSVC(dual=True, random_state=0).fit(features, targets)  # pyright: ignore[reportArgumentType]
    return LinearSVM(svm.classes_, np.asarray(svm.coef_), np.asarray(svm.intercept_))


def main(folders: list[str]) -> None:
    """Print the table."""
    print("| titles | rows | classes | LinearSVC, s | ours, s | ratio | loss, ratio | its top-1 | ours |")
    print("| --- |" + " ---: |" * 8)
    for folder in folders:
        print(compare(Path(folder).name, of_catalog(Path(folder))), flush=True)
    print(compare("made up", made_up(2000)))


if __name__ == "__main__":
    main(sys.argv[1:])
