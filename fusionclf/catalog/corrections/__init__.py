"""Labels that people correct: tasks to review, what they answered, and the corrected table."""

from fusionclf.catalog.corrections.applying import Applied, ApplyRequest, apply_corrections
from fusionclf.catalog.corrections.reading import Corrections, read_corrections
from fusionclf.catalog.corrections.review import ReviewTask, cut_note, review_files

__all__ = [
    "Applied",
    "ApplyRequest",
    "Corrections",
    "ReviewTask",
    "apply_corrections",
    "cut_note",
    "read_corrections",
    "review_files",
]
