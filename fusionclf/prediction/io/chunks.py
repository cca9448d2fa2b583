"""Answers on their way to a file: one part a lot in a folder beside it, put together at the end.

Nothing half-written ever stands under the final name, and a command that was cut off goes on after its last part.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fusionclf.catalog.picture_paths import MissingPictures
from fusionclf.errors import RunError
from fusionclf.files import remove, replacing, replacing_all, sweep, write_json
from fusionclf.prediction.answers import ABSTAIN, NONE, Answers
from fusionclf.prediction.io.readers import Fault, Lot, format_of
from fusionclf.prediction.io.writers import FORMATS
from fusionclf.runfolder import first_difference, guarded, read_json

JOB = "job.json"  # in the folder of parts: what the answers depend on


@dataclass(frozen=True)
class Totals:
    """What a finished file holds.

    Attributes:
        answered: products in it.
        abstained: those of them whose decision is "abstain".
        faults: rows in the side file.
        new: products that were answered by this command, not by one that was cut off before.
        missing: products whose picture was looked for and is not there.
        seconds: what reading, answering and writing these took, without loading the model.
    """

    answered: int
    abstained: int
    faults: int
    new: int
    missing: MissingPictures = field(default_factory=MissingPictures)
    seconds: float = 0.0


class Parts:
    """The parts of one output file.

    Args:
        out: the file to make.
        job: what the answers depend on: JSON values. A job that is gone on with must be the same one.
    """

    def __init__(self, out: Path, job: dict[str, Any]) -> None:
        self.out, self.job = out, json.loads(json.dumps(job))
        self.format = FORMATS[format_of(out)]
        self.folder = out.parent / f".{out.name}.parts"
        self.faults_file = out.with_name(f"{out.stem}.errors.csv")
        self.before: set[int] = set()

    def begin(self, *, overwrite: bool, resume: bool) -> None:
        """Make the folder ready, unless the output is there and `resume` says that this is well. Hold its lock.

        Of what an output without parts was made is not known: it is not looked into.

        Raises:
            RunError: the output, its side file or its parts are there and neither `overwrite` nor `resume` is given, or
                the parts are of another job.
        """
        sweep(self.faults_file, self.folder)  # the lock did so for the output
        there = any(self.folder.glob("*.part"))
        # A command that was to replace the output may have been killed before its first part.
        replaces = overwrite or (resume and self.is_begun() and read_json(self.folder / JOB) == self.job)
        if overwrite or not there:  # without a part there is nothing to go on with
            remove(self.folder)
        elif not resume:
            raise RunError(
                f"{self.out}: a command that was cut off has left parts; --resume goes on with them, --overwrite "
                "begins anew"
            )
        else:
            self.check()
        if not (replaces or there):
            if resume and self.out.exists():
                return
            for file in (self.out, self.faults_file):
                if file.exists():
                    raise RunError(
                        f"{file}: is there already; --overwrite replaces it, or give another --out"
                    )
        if not self.is_begun():
            write_json(self.folder / JOB, self.job)
        self.before = {int(file.stem) for file in self.folder.glob("[0-9]*.part")}

    def check(self) -> None:
        """Raises RunError where the folder is not there or its parts are of another job."""
        if not self.is_begun():
            raise RunError(f"{self.folder}: parts of an unknown job; --overwrite begins anew")
        differing = first_difference(read_json(self.folder / JOB), self.job)
        if differing:
            raise RunError(
                f"{self.out}: begun with other settings or input ({differing}); use the same ones, or --overwrite"
            )

    def is_begun(self) -> bool:
        """Whether the folder is ready for parts."""
        return (self.folder / JOB).is_file()

    def has(self, number: int) -> bool:
        """Whether a lot is answered."""
        return self._part(number).is_file()

    def keep(self, lot: Lot, answers: Answers) -> None:
        """Write the answers of a lot; those of it that have none join its faults."""
        failed = [place for place, decision in enumerate(answers.decisions) if decision == NONE]
        faults = lot.faults + [Fault(lot.places[n], lot.ids[n], answers.reasons[n]) for n in failed]
        summary = {
            "answered": len(lot.ids) - len(failed),
            "abstained": answers.decisions.count(ABSTAIN),
            "faults": [asdict(fault) for fault in sorted(faults, key=_order)],
            "missing": asdict(lot.missing),
        }
        write_json(self._part(lot.number).with_suffix(".json"), summary)
        with replacing(self._part(lot.number)) as aside:
            self.format.write(aside, lot.ids, answers)

    def finish(self, count: int) -> Totals:
        """Put the parts 0 … `count` - 1 together, then remove them.

        Raises:
            RunError: the files cannot be written, or parts were removed.
        """
        gone = [number for number in range(count) if not self.has(number)]
        if gone or not self.is_begun():
            if not self.is_begun():  # what is left there cannot be resumed
                remove(self.folder)
            raise RunError(
                f"{self.folder}: {len(gone)} of {count} parts were removed while the command ran; give it again with "
                "--resume"
            )
        answered, abstained, faults, new, missing = 0, 0, 0, 0, MissingPictures()
        for number, summary in enumerate(self._summaries(count)):
            answered += summary["answered"]
            abstained += summary["abstained"]
            faults += len(summary["faults"])
            new += summary["answered"] if number not in self.before else 0
            missing += MissingPictures(**summary.get("missing", {}))
        files = [self.out, self.faults_file] if faults else [self.out]
        with replacing_all(*files) as asides:
            self.format.join(asides[0], [self._part(number) for number in range(count)])
            if faults:
                self._write_faults(asides[1], count)
        if not faults:
            self.faults_file.unlink(missing_ok=True)  # of an output that was replaced
        remove(self.folder)
        return Totals(answered, abstained, faults, new, missing)

    def _write_faults(self, path: Path, count: int) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["place", "id", "reason"])
            for summary in self._summaries(count):
                writer.writerows([guarded(cell) for cell in fault.values()] for fault in summary["faults"])

    def _summaries(self, count: int) -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield read_json(self._part(number).with_suffix(".json"))

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:06}.part"


def _order(fault: Fault) -> tuple[int, str]:
    """By the number of the line or row."""
    number = fault.place.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0, fault.place
