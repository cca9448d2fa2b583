"""Requests and responses of the endpoint; the OpenAPI schema is generated from them."""

from typing import Literal

from pydantic import BaseModel, Field

from fusionclf.catalog import MEGAPIXELS
from fusionclf.prediction import Answers
from fusionclf.prediction.io.writers import as_json

PICTURE_BYTES = 20 * 2**20
LINES_BYTES = 32 * 2**20  # of a batch, its pictures in base64
LINES = 1000  # products of one batch
TITLE_LENGTH = 2000  # characters
FIELD_LENGTH = 20_000  # characters of a further text
MOST_CLASSES = 100  # returned for one product


class ColumnAnswer(BaseModel):
    """The predicted value of a further column."""

    value: str | None = Field(description="null without an input that the column's head reads")
    probability: float | None = Field(description="of this value")


class Answer(BaseModel):
    """The answer for one product, as of `fusionclf predict --json`."""

    labels: list[str] = Field(
        description="the most likely classes, best first; empty without an answer. Where a product can have several "
        "labels: those that reach their thresholds"
    )
    class_ids: list[str] | None = Field(
        default=None, description="of these classes, where they have ids; absent where none has one"
    )
    probabilities: list[float] = Field(description="of these classes")
    path: list[str] = Field(description="category path of the predicted class, top down")
    answer: list[str] = Field(description="category path and class; empty without an answer")
    decision: Literal["accept", "abstain", "none"]
    picture_status: Literal["used", "missing", "unreadable", "ignored"]
    title_status: Literal["used", "missing", "unreadable", "ignored"]
    answers: dict[str, ColumnAnswer] = Field(
        default={}, description="of further columns, where the run predicts any (model.auxiliary)"
    )
    reason: str = Field(default="", description="for a line of a batch: why there is no answer")


class Piece(BaseModel):
    """A word of the title, or a few where it is long."""

    text: str
    start: int = Field(description="position in the title, in characters")
    end: int
    counted: float | None = Field(
        description="by how much the probability falls without it; null where no input is left to predict from"
    )


class Modality(BaseModel):
    """Picture or title as a whole; null where no input is left to predict from."""

    counted: float | None = Field(description="by how much the probability falls without it")
    label: str | None = Field(description="the predicted class without it")
    probability: float | None = Field(description="of that class")


class OnePicture(BaseModel):
    """One of a product's several pictures."""

    counted: float = Field(description="by how much the probability falls without it")


class Explanation(BaseModel):
    """How much each part of a product contributed to its prediction, as of `fusionclf explain`."""

    label: str = Field(description="the class that is explained")
    probability: float = Field(description="of it, with the whole input")
    answer: str = Field(description="the most likely class")
    title: str
    words: list[Piece] = Field(description="of the title, in their order")
    cells: list[list[float]] | None = Field(
        description="rows of the picture, top down: by how much the probability falls when that cell is grey; "
        "null where no picture is read"
    )
    pictures: list[OnePicture] = Field(description="of a product with several, in their order; else empty")
    shown: int = Field(description="which of them, from 0, `cells` are of")
    modalities: dict[Literal["picture", "title"], Modality] = Field(
        description="those that were given and that the model reads"
    )
    fields: dict[str, Modality] = Field(description="the same for each further text and attribute")
    meaning: dict[str, str] = Field(description="of these fields")


class Limits(BaseModel):
    """Limits of a request."""

    picture_bytes: int = PICTURE_BYTES
    megapixels: int = MEGAPIXELS
    title_length: int = TITLE_LENGTH
    batch_lines: int = LINES
    batch_bytes: int = LINES_BYTES


class Health(BaseModel):
    """The served model."""

    status: Literal["ok"] = "ok"
    run: str
    part: str
    classes: int
    reads_pictures: bool
    reads_titles: bool
    several_labels: bool = Field(default=False, description="whether a product can have several labels")
    fields: list[str] = Field(
        default=[], description="names of the further texts and attributes that it reads"
    )
    version: str
    limits: Limits = Limits()


class Ready(BaseModel):
    """A server that accepts requests."""

    status: Literal["ready"] = "ready"


class Fault(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="one line: the thing, its value, the remedy")


def to_answer(answers: Answers, place: int) -> Answer:
    """One product's answer; without one, the lists are empty and `reason` has the cause."""
    values = as_json(answers, place)
    if not values["labels"]:
        values["probabilities"] = []
    return Answer(**values, reason=answers.reasons[place])
