"""What a reader must know before comparing runs: which products each could learn from, and which it scored."""

from collections.abc import Sequence

from pydantic import ValidationError

from fusionclf.catalog.usable import UnusedRows
from fusionclf.errors import RunError
from fusionclf.report.collect import Run
from fusionclf.report.ranking import scored
from fusionclf.run_schema import ALL_CLASSES


def notes(runs: Sequence[Run], parts: Sequence[str]) -> list[str]:
    """A sentence for each run that could not learn from every train row, or scored fewer products than a part has."""
    found = []
    for run in runs:
        if unused := _unused(run):
            found.append(
                f"{run.name} ({run.variant}) could not learn from every train row of the split: {unused}. "
                "Counts of train rows in this report are the split's."
            )
        fewer = []
        for part in parts:
            whole, own = _test_rows(run, part), scored(run, part)
            if 0 < own < whole:
                fewer.append(f"{own:,} of {whole:,} products of {part}")
        if fewer:
            found.append(
                f"{run.name} ({run.variant}) scored {' and '.join(fewer)}, as its protocol asks; "
                "its figures are of those alone, and it is no candidate for the best of a column."
            )
    return found


def _unused(run: Run) -> UnusedRows | None:
    """The train rows that a run could not learn from; None where it does not say."""
    value = run.environment.get("unused_train_rows")
    try:
        return None if value is None else UnusedRows.model_validate(value)
    except ValidationError as error:
        raise RunError(
            f"{run.name}/environment.json: unused_train_rows is damaged ({error.error_count()} faults); run it again"
        ) from error


def _test_rows(run: Run, part: str) -> int:
    ids = run.split["ids"]
    return sum(len(ids[name]["test"]) for name in (ids if part == ALL_CLASSES else [part]))
