"""Predictions on their way to a file: one file per chunk in a folder beside the output, joined at the end.

The final name never holds a half-written file, and an interrupted command resumes after its last chunk.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fusionclf.catalog.picture_paths import MissingPictures
from fusionclf.errors import RunError
from fusionclf.files import remove, replacing, replacing_all, sweep, write_json
from fusionclf.prediction.answers import ABSTAIN, NONE
from fusionclf.prediction.io.product_rows import Chunk, Fault
from fusionclf.prediction.io.writers import Format, format_of
from fusionclf.runfolder import first_difference, guarded, read_json

JOB = "job.json"  # in the folder of chunks: what the predictions depend on


class Result(Protocol):
    """What a model gives for n products: its decisions, "none" where it gives nothing, and why it gives nothing."""

    @property
    def decisions(self) -> list[str]: ...

    @property
    def reasons(self) -> list[str]: ...


@dataclass(frozen=True)
class Totals:
    """What a finished file holds.

    Attributes:
        answered: products in it.
        abstained: those of them whose decision is "abstain".
        faults: rows in the side file.
        new: products that this command predicted, not an earlier one that was interrupted.
        missing: products whose picture was not found.
        missing_further: pictures that were not found, of products that have another one.
        cut: products with more pictures than are read.
        unread: products of whose pictures some, not all, cannot be decoded.
        seconds: for reading, predicting and writing these, without loading the model.
    """

    answered: int
    abstained: int
    faults: int
    new: int
    missing: MissingPictures = field(default_factory=MissingPictures)
    missing_further: MissingPictures = field(default_factory=MissingPictures)
    cut: int = 0
    unread: int = 0
    seconds: float = 0.0


class OutputChunks:
    """The chunks of one output file.

    Args:
        out: the file to make.
        job: what the predictions depend on: JSON values. Only the same job can be resumed.
        format: how chunks are written and joined; None: the one for answers that the suffix of `out` names.
    """

    def __init__(self, out: Path, job: dict[str, Any], format: Format | None = None) -> None:
        self.out, self.job = out, json.loads(json.dumps(job))
        self.format = format or format_of(out)
        self.folder = out.parent / f".{out.name}.parts"
        self.faults_file = out.with_name(f"{out.stem}.errors.csv")
        self.finished_before: set[int] = set()

    def begin(self, *, overwrite: bool, resume: bool) -> None:
        """Make the folder ready, unless `resume` is given and the output exists. The caller holds the output's lock.

        An output without chunks does not record its job, so it is not compared with this one.

        Raises:
            RunError: the output, its side file or its chunks exist and neither `overwrite` nor `resume` is given, or
                the chunks are of another job.
        """
        sweep(self.faults_file, self.folder)  # taking the lock swept the output
        has_chunks = any(self.folder.glob("*.part"))
        # A command that was to replace the output may have been killed before its first chunk.
        replaces = overwrite or (resume and self.is_begun() and read_json(self.folder / JOB) == self.job)
        if overwrite or not has_chunks:  # without a chunk there is nothing to resume
            remove(self.folder)
        elif not resume:
            raise RunError(
                f"{self.out}: an interrupted command left chunks; --resume continues with them, --overwrite starts "
                "again"
            )
        else:
            self.check()
        if not (replaces or has_chunks):
            if resume and self.out.exists():
                return
            for file in (self.out, self.faults_file):
                if file.exists():
                    raise RunError(f"{file}: exists already; --overwrite replaces it, or give another --out")
        if not self.is_begun():
            write_json(self.folder / JOB, self.job)
        self.finished_before = {int(file.stem) for file in self.folder.glob("[0-9]*.part")}

    def check(self) -> None:
        """Raises RunError where the folder does not exist or its chunks are of another job."""
        if not self.is_begun():
            raise RunError(f"{self.folder}: chunks of another command; --overwrite starts again")
        differing = first_difference(read_json(self.folder / JOB), self.job)
        if differing:
            raise RunError(
                f"{self.out}: begun with other settings or input ({differing}); use the same ones, or --overwrite"
            )

    def is_begun(self) -> bool:
        """Whether the folder is ready for chunks."""
        return (self.folder / JOB).is_file()

    def has(self, number: int) -> bool:
        """Whether a chunk is written."""
        return self._file(number).is_file()

    def write(self, chunk: Chunk, answers: Result, unread: int = 0) -> None:
        """Write the predictions of a chunk; products without one join its faults; `unread` as of Totals."""
        failed = [place for place, decision in enumerate(answers.decisions) if decision == NONE]
        faults = chunk.faults + [Fault(chunk.places[n], chunk.ids[n], answers.reasons[n]) for n in failed]
        summary = {
            "answered": len(chunk.ids) - len(failed),
            "abstained": answers.decisions.count(ABSTAIN),
            "faults": [asdict(fault) for fault in sorted(faults, key=_order)],
            "missing": asdict(chunk.missing),
            "missing_further": asdict(chunk.missing_further),
            "cut": chunk.cut,
            "unread": unread,
        }
        write_json(self._file(chunk.number).with_suffix(".json"), summary)
        with replacing(self._file(chunk.number)) as aside:
            self.format.write(aside, chunk.ids, answers)

    def join(self, count: int) -> Totals:
        """Join the chunks 0 … `count` - 1 into the output, then remove them.

        Raises:
            RunError: the files cannot be written, or chunks were removed.
        """
        lost = [number for number in range(count) if not self.has(number)]
        if lost or not self.is_begun():
            if not self.is_begun():  # the remaining files cannot be resumed
                remove(self.folder)
            raise RunError(
                f"{self.folder}: {len(lost)} of {count} chunks were removed while the command ran; run it again with "
                "--resume"
            )
        totals = self._totals(count)
        files = [self.out, self.faults_file] if totals.faults else [self.out]
        with replacing_all(*files) as asides:
            self.format.join(asides[0], [self._file(number) for number in range(count)])
            if totals.faults:
                self._write_faults(asides[1], count)
        if not totals.faults:
            self.faults_file.unlink(missing_ok=True)  # of an output that was replaced
        remove(self.folder)
        return totals

    def _totals(self, count: int) -> Totals:
        answered, abstained, faults, new, cut, unread = 0, 0, 0, 0, 0, 0
        missing, further = MissingPictures(), MissingPictures()
        for number, summary in enumerate(self._summaries(count)):
            answered += summary["answered"]
            abstained += summary["abstained"]
            faults += len(summary["faults"])
            new += summary["answered"] if number not in self.finished_before else 0
            cut, unread = cut + summary["cut"], unread + summary["unread"]
            missing += MissingPictures(**summary["missing"])
            further += MissingPictures(**summary["missing_further"])
        return Totals(answered, abstained, faults, new, missing, further, cut, unread)

    def _write_faults(self, path: Path, count: int) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["place", "id", "reason"])
            for summary in self._summaries(count):
                writer.writerows([guarded(cell) for cell in fault.values()] for fault in summary["faults"])

    def _summaries(self, count: int) -> Iterator[dict[str, Any]]:
        for number in range(count):
            yield read_json(self._file(number).with_suffix(".json"))

    def _file(self, number: int) -> Path:
        return self.folder / f"{number:06}.part"


def _order(fault: Fault) -> tuple[int, str]:
    """By the number of the line or row."""
    number = fault.place.rpartition(" ")[2]
    return int(number) if number.isdecimal() else 0, fault.place
