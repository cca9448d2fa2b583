"""Tasks to review: as a CSV file with a column to fill in, and as tasks for Label Studio.

Source of the formats: https://labelstud.io/guide/predictions and https://labelstud.io/tags/choices (2026).
"""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

from fusionclf.catalog.pictures import map_paths
from fusionclf.catalog.thumbnails import thumbnail
from fusionclf.files import json_text
from fusionclf.runfolder import guarded

CSV, TASKS, CONFIG = "corrections.csv", "label-studio.json", "label-studio.xml"
COLUMNS = ("id", "title", "label", "suggestion", "probability", "reason", "correction")
CONTROL, PRODUCTS = "label", "products"  # names in Label Studio: of the choices, and of the ids in a task
PICTURE_SIZE = (384, 384)  # pixels, at most
MOST_TASKS = 1000  # with pictures, in one file for Label Studio
NO_PICTURE = (  # one white pixel
    "data:image/gif;base64,R0lGODlhAQABAIAAAP///wAAACH5BAAAAAAALAAAAAABAAEAAAICRAEAOw=="
)
NO_TITLE = "(no title)"


@dataclass(frozen=True)
class ReviewTask:
    """A label to check, or to give.

    Attributes:
        ids: of one product, or of several copies that one answer is for.
        title: of the first one.
        label: the class that it has; "" for none.
        suggestion: the class that a model suggests.
        probability: of the suggestion; None where it is not known.
        picture: file of the picture; None without one.
        reason: why it is to be reviewed, for people.
    """

    ids: tuple[str, ...]
    title: str
    label: str
    suggestion: str
    probability: float | None = None
    picture: Path | None = None
    reason: str = ""


def review_files(tasks: Sequence[ReviewTask], classes: Sequence[str], model: str) -> dict[str, str]:
    """Name → content of the files that a review needs.

    Args:
        tasks: the most important one first; Label Studio gets the first MOST_TASKS, with pictures as data: URIs, so
            that its server needs no access to the folder.
        classes: which can be chosen.
        model: name of what made the suggestions.
    """
    shown = tasks[:MOST_TASKS]
    pictures = map_paths([task.picture for task in shown], _picture)
    entries = [_task(task, picture, model) for task, picture in zip(shown, pictures, strict=True)]
    return {CSV: _csv(tasks), TASKS: json_text(entries), CONFIG: _config(classes)}


def cut_note(tasks: int) -> str:
    """The end of a line on written tasks, where Label Studio does not get all of them.

    >>> cut_note(1500), cut_note(10)
    ('; label-studio.json holds the first 1,000', '')
    """
    return f"; {TASKS} holds the first {MOST_TASKS:,}" if tasks > MOST_TASKS else ""


def _picture(path: Path | None) -> str | None:
    return thumbnail(path, PICTURE_SIZE)


def _csv(tasks: Sequence[ReviewTask]) -> str:
    """A row for each product; `correction` is empty."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for task in tasks:
        probability = "" if task.probability is None else f"{task.probability:.4f}"
        for product in task.ids:
            texts = [guarded(text) for text in (product, task.title, task.label, task.suggestion)]
            writer.writerow([*texts, probability, task.reason, ""])
    return stream.getvalue()


def _task(task: ReviewTask, picture: str | None, model: str) -> dict[str, Any]:
    """A task of Label Studio with the suggestion as its pre-annotation."""
    choice = {
        "from_name": CONTROL,
        "to_name": "title",
        "type": "choices",
        "value": {"choices": [task.suggestion]},
    }
    score = {} if task.probability is None else {"score": round(task.probability, 6)}
    return {
        "data": {
            PRODUCTS: list(task.ids),
            "title": task.title.strip() or NO_TITLE,
            "picture": picture or NO_PICTURE,
            "note": f"in the catalog: {task.label or 'no label'}; suggested: {task.suggestion}"
            + ("" if picture else "; no picture")
            + (f"; {task.reason}" if task.reason else "")
            + (f"; {len(task.ids):,} copies" if len(task.ids) > 1 else ""),
        },
        "predictions": [{"model_version": model, **score, "result": [choice]}],
    }


def _config(classes: Sequence[str]) -> str:
    """The labelling interface of a project in Label Studio."""
    choices = "\n".join(f"    <Choice value={quoteattr(name)}/>" for name in classes)
    return f"""<View>
  <Image name="picture" value="$picture" maxWidth="384px"/>
  <Text name="title" value="$title"/>
  <Text name="note" value="$note"/>
  <Filter name="filter" toName="{CONTROL}" minlength="0" placeholder="Search a class"/>
  <Choices name="{CONTROL}" toName="title" choice="single-radio" required="true" showInline="true">
{choices}
  </Choices>
</View>
"""
