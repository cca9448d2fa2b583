"""What each correction of fusion's product of parts is worth, over held-out training rows.

    python -m benchmarks.combining_parts OUT data/flipkart [SETTING …]

A fusion on frozen encoders is trained as `fusionclf train fusion --config fusion-frozen` does. Its out-of-fold
predictions are made once for each design, in which some corrections stay 0. Printed are top-1 and mean log loss among
the seen classes, over rows of all classes and of those with 1 to 19 rows. No test row is read.
"""

import sys
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import log_softmax

from benchmarks.stopped_training import train_up_to_held_out
from fusionclf.models.open_vocabulary import meta_training
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.stacking import out_of_fold

CORRECTIONS = ("calibrators", "confidence", "names")
DESIGNS: dict[str, tuple[str, ...]] = {
    "product": (),
    "+ name match": ("names",),
    "+ powers by confidence": ("confidence",),
    "+ calibrated scores": ("calibrators",),
    "+ calibrated scores, powers by confidence": ("calibrators", "confidence"),
    "all three": CORRECTIONS,
}
TAIL = 20


class PartlyCorrected(MetaClassifier):
    """Corrections that are not `used` keep the weights that they begin with, which add nothing."""

    used: ClassVar[tuple[str, ...]] = CORRECTIONS

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        super().requires_grad_(requires_grad)
        for name in set(CORRECTIONS) - set(self.used):
            getattr(self.known, name).requires_grad_(False)
        return self


def compare_designs(data: Any, *more: Any) -> None:
    """Takes the place of `predict_out_of_fold`."""
    counts = np.bincount(data.targets, minlength=data.classes)
    place = np.full(data.rows.max() + 1, -1)
    place[data.rows] = np.arange(len(data.rows))
    right = tail = np.zeros(0, bool)
    print("| design | top-1 | tail | log loss |\n| --- | ---: | ---: | ---: |")
    for name, used in DESIGNS.items():
        PartlyCorrected.used = used
        found = out_of_fold.predict_out_of_fold(data, *more)
        targets = data.targets[place[found.rows]]
        log = log_softmax(np.where(found.seen, found.logits, -1e9).astype(np.float64), axis=1)
        right, tail = log.argmax(axis=1) == targets, counts[targets] < TAIL
        loss = -log[np.arange(len(targets)), targets].mean()
        print(
            f"| {name} | {100 * right.mean():.1f} | {100 * right[tail].mean():.1f} | {loss:.3f} |", flush=True
        )
    print(f"{len(right)} rows, {tail.sum()} of them of tail classes")


def main(out: Path, data: Path, settings: list[str]) -> None:
    """Train and print the table."""
    meta_training.MetaClassifier = PartlyCorrected  # pyright: ignore
    train_up_to_held_out(compare_designs, out, data, settings)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
