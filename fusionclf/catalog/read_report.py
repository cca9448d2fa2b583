"""What happened while a catalog was read: what was repaired, dropped or noticed."""

from dataclasses import dataclass, field

from fusionclf.catalog.counted_examples import Noted
from fusionclf.catalog.picture_paths import MissingPictures


@dataclass(frozen=True)
class Reading:
    """What happened while a catalog was read.

    Attributes:
        rows_read: rows of the file, without its header.
        repaired: ids of rows whose title held unquoted commas.
        dropped: reason → ids (or lines, where a row has no usable id).
        bad_years: ids of rows whose year is no whole number; they count as having none.
        multiline: ids of rows that go over several lines, by a line break in a quoted cell.
        lost_classes: labels of which every row was dropped.
        missing_words: column of the file → cells with a word for a missing value, such as NaN; they count as empty.
        corrected_paths: pictures that were found though their paths were not quite right.
        missing_pictures: products of which no picture was found, dropped or kept.
        joined: label and category columns → rows whose spelling was replaced (`join_spellings`).
    """

    rows_read: int
    repaired: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    bad_years: list[str] = field(default_factory=list)
    multiline: list[str] = field(default_factory=list)
    lost_classes: list[str] = field(default_factory=list)
    missing_words: dict[str, Noted] = field(default_factory=dict)
    corrected_paths: Noted = field(default_factory=Noted)
    missing_pictures: MissingPictures = field(default_factory=MissingPictures)
    joined: dict[str, int] = field(default_factory=dict)
