"""What was repaired, dropped or replaced while a catalog was read."""

from dataclasses import dataclass, field

from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.picture_paths import MissingPictures


@dataclass(frozen=True)
class ReadReport:
    """What was repaired, dropped or replaced while a catalog was read.

    Attributes:
        recognised: the file, and what it was recognised as, such as "shop.csv (CSV, semicolons, cp1252; 9 columns)".
        rows_read: rows of the file, without its header.
        repaired: ids of rows whose title held unquoted commas.
        dropped: reason → ids (or lines, where a row has no usable id).
        bad_years: ids of rows whose year is no whole number; they count as rows without a year.
        multiline: ids of rows with a line break in a quoted cell.
        lost_classes: labels whose rows were all dropped.
        missing_words: column of the file → cells with a word for a missing value, such as NaN; they count as empty.
        corrected_paths: pictures found by a path with a small error.
        missing_pictures: products without a picture file, whether dropped or not.
        missing_further: pictures without a file, of products that have another picture.
        cut_pictures: products with more pictures than are read.
        named_by_path: classes that are named by their whole path, because their own name occurs below several paths.
        several_label_paths: labels that list several paths, of which the first counts.
        odd_label_lists: cells with an empty label, or with one label twice; each label counts once.
        joined: label and category columns → rows whose spelling was replaced (`join_spellings`).
    """

    rows_read: int
    repaired: list[str] = field(default_factory=list)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    bad_years: list[str] = field(default_factory=list)
    multiline: list[str] = field(default_factory=list)
    lost_classes: list[str] = field(default_factory=list)
    missing_words: dict[str, CountedExamples] = field(default_factory=dict)
    corrected_paths: CountedExamples = field(default_factory=CountedExamples)
    missing_pictures: MissingPictures = field(default_factory=MissingPictures)
    missing_further: MissingPictures = field(default_factory=MissingPictures)
    cut_pictures: CountedExamples = field(default_factory=CountedExamples)
    joined: dict[str, int] = field(default_factory=dict)
    named_by_path: list[str] = field(default_factory=list)
    several_label_paths: CountedExamples = field(default_factory=CountedExamples)
    odd_label_lists: CountedExamples = field(default_factory=CountedExamples)
    recognised: str = ""
