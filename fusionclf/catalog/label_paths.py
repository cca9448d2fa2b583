"""Labels that are paths, such as Apparel > Shirts: their steps, their class, and the categories above it."""

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.read_report import ReadReport
from fusionclf.config import CatalogConfig
from fusionclf.errors import CatalogError, quoted

PATH_SEPARATOR = " > "
MOST_STEPS = 16  # of a path
LEVEL = "level_"  # before the number of a category column that comes from the path


def own_step(name: str, place: Iterable[str]) -> str:
    """The last step of a class's path: its name, or the end of it where the class is named by its whole path.

    >>> own_step("Shoes", ("Men",)), own_step("Men > Shoes", ("Men",))
    ('Shoes', 'Shoes')
    """
    steps = [step for step in place if step]
    return name.removeprefix(PATH_SEPARATOR.join((*steps, ""))) or name


def whole_path(name: str, place: Iterable[str]) -> tuple[str, ...]:
    """All steps of a class's path, the class's own included.

    >>> whole_path("Men > Shoes", ("Men",))
    ('Men', 'Shoes')
    """
    place = tuple(place)
    return (*place, own_step(name, place))


def path_steps(cell: str, separator: str) -> tuple[list[str], bool]:
    """The steps of a label, top down, and whether its cell lists further paths, which are left out.

    A cell is a path, or a JSON list of steps or of paths. A separator that is written twice counts as one.

    >>> path_steps("Apparel > Shirts", ">"), path_steps('["Home >> Curtains >> Blue one"]', ">")
    ((['Apparel', 'Shirts'], False), (['Home', 'Curtains', 'Blue one'], False))
    >>> path_steps('["Home", "Curtains"]', ">"), path_steps('["Home > Rugs", "Sale > Rugs"]', ">")
    ((['Home', 'Curtains'], False), (['Home', 'Rugs'], True))
    """
    listed = _json_list(cell)
    if listed is not None and not any(separator in text for text in listed):
        return [text.strip() for text in listed], False
    several = listed is not None and len(listed) > 1
    path = listed[0] if listed else cell
    path = re.sub(f"^(\\s*{re.escape(separator)})+|({re.escape(separator)}\\s*)+$", "", path)
    return [step.strip() for step in re.split(f"(?:{re.escape(separator)})+", path)], several


def _json_list(cell: str) -> list[str] | None:
    """The texts of a JSON list; None for another cell."""
    if not cell.startswith("["):
        return None
    try:
        values = json.loads(cell)
    except (ValueError, RecursionError):
        return None
    is_texts = isinstance(values, list) and values and all(isinstance(value, str) for value in values)
    return values if is_texts else None


@dataclass
class LabelPaths:
    """The labels of n rows, read as paths.

    Attributes:
        labels: (n,) the step that is the class; "" for a row without a usable path.
        above: (n,) the steps above it, top down.
        faults: what is wrong → (n,) whether it is wrong with the row.
        several: cells that list several paths, of which the first counts.
        are_categories: whether the steps above are the catalog's categories.
    """

    labels: pd.Series
    above: list[tuple[str, ...]]
    faults: dict[str, pd.Series] = field(default_factory=dict)
    several: CountedExamples = field(default_factory=CountedExamples)
    are_categories: bool = False

    def levels(self) -> dict[str, list[str]]:
        """Name of a category column → n categories; "" below the end of a short path."""
        depth = max(map(len, self.above), default=0)
        return {
            f"{LEVEL}{level + 1}": [path[level] if level < len(path) else "" for path in self.above]
            for level in range(depth)
        }


def read_label_paths(cells: pd.Series, columns: CatalogConfig) -> LabelPaths:
    """The labels of a column of paths.

    Raises:
        CatalogError: no label has two steps.
    """
    separator, level = columns.label_separator, columns.label_level
    assert separator is not None
    found, several, faults = [], CountedExamples(), []
    deepest = 0
    for cell in cells.str.strip().tolist():
        steps, more = path_steps(cell, separator)
        deepest = max(deepest, len(steps))
        fault = _fault(steps, level)
        faults.append(fault)
        if more:
            several.add(lambda cell=cell: quoted(cell))
        found.append([] if fault or not steps[-1] else steps[:level])
    if len(cells) and deepest < 2:
        raise CatalogError(
            f"catalog.label_separator={separator!r}: no label of the column {columns.label!r} holds it "
            f"({quoted(str(cells.iloc[0]))}, …); give the sign between the steps, or leave it out"
        )
    labels = pd.Series([steps[-1] if steps else "" for steps in found], cells.index, dtype="str")
    masks = {
        fault: pd.Series([fault == own for own in faults], cells.index)
        for fault in dict.fromkeys(faults)
        if fault
    }
    return LabelPaths(labels, [tuple(steps[:-1]) for steps in found], masks, several)


def _fault(steps: Sequence[str], level: int | None) -> str:
    """Why a path has no class; "" where it has one, or is empty."""
    if list(steps) == [""]:
        return ""
    if len(steps) > MOST_STEPS:
        return f"more than {MOST_STEPS} steps in the label's path"
    if not all(steps):
        return "an empty step in the label's path"
    return f"no step {level} in the label's path" if level and len(steps) < level else ""


def repeated_by_path(labels: Sequence[str], above: Sequence[tuple[str, ...]]) -> list[str]:
    """n class names: the whole path where a label occurs below several paths, else the label.

    >>> repeated_by_path(["Shoes", "Shoes", "Hats"], [("Men",), ("Women",), ("Men",)])
    ['Men > Shoes', 'Women > Shoes', 'Hats']
    """
    places: dict[str, set[tuple[str, ...]]] = {}
    for name, place in zip(labels, above, strict=True):
        places.setdefault(name, set()).add(tuple(filter(None, place)))
    return [
        PATH_SEPARATOR.join((*filter(None, place), name)) if name and len(places[name]) > 1 else name
        for name, place in zip(labels, above, strict=True)
    ]


def add_levels(file: Path, table: pd.DataFrame, paths: LabelPaths, columns: CatalogConfig) -> CatalogConfig:
    """The settings, with the steps above the labels as categories where none are given; fills the table in place.

    Args:
        file: for messages.
        table: gets the column `label`, and those of the categories.
        paths: of its rows.
        columns: the settings.

    Raises:
        CatalogError: a column of the table is named like one of the categories.
    """
    table["label"] = paths.labels
    if columns.categories:
        return columns
    levels = paths.levels()
    for name, cells in levels.items():
        if name in table:
            raise CatalogError(
                f"{file}: column {name!r} has a name that the steps of catalog.label get; rename it in the file"
            )
        table[name] = pd.Series(cells, table.index, dtype="str")
    paths.are_categories = True
    return columns.model_copy(update={"categories": tuple(levels)})


def name_by_path(table: pd.DataFrame, paths: LabelPaths, columns: CatalogConfig, report: ReadReport) -> None:
    """Name the labels of a table that occur below several paths by their paths, in place.

    Args:
        table: rows of those that `paths` has.
        paths: as they were read.
        columns: as `add_levels` returned them.
        report: gets these names, and the labels with several paths.
    """
    if paths.are_categories:  # perhaps with joined spellings
        above = list(table[list(columns.categories)].itertuples(index=False, name=None))
    else:
        above = pd.Series(paths.above, paths.labels.index, dtype=object).loc[table.index].tolist()
    names = repeated_by_path(table["label"].tolist(), above)
    report.named_by_path.extend(sorted(set(names) - set(table["label"])))
    report.several_label_paths.count = paths.several.count
    report.several_label_paths.examples += paths.several.examples
    table["label"] = names
