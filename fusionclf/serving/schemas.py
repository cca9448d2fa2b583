"""What the endpoint answers, and how much it takes: the OpenAPI schema is made of these."""

from typing import Literal

from pydantic import BaseModel, Field

from fusionclf.catalog import MEGAPIXELS
from fusionclf.prediction import Answers
from fusionclf.prediction.io.writers import as_json

PICTURE_BYTES = 20 * 2**20
LINES_BYTES = 4 * 2**20
LINES = 1000  # products of one batch
TITLE_LENGTH = 2000  # characters
MOST_CLASSES = 100  # named for one product


class Answer(BaseModel):
    """What the model says of one product, as `fusionclf predict --json` does."""

    labels: list[str] = Field(
        description="the most likely classes, best first; none where there is no answer"
    )
    probabilities: list[float] = Field(description="of these classes")
    path: list[str] = Field(description="category path of the first class, top down")
    answer: list[str] = Field(
        description="what is sure: the path and the class; none where there is no answer"
    )
    decision: Literal["accept", "abstain", "none"]
    picture_status: Literal["used", "missing", "unreadable", "ignored"]
    title_status: Literal["used", "missing", "unreadable", "ignored"]
    reason: str = Field(default="", description="of a batch's line: why there is no answer")


class Piece(BaseModel):
    """A word of the title, or a few where it is long."""

    text: str
    start: int = Field(description="where it stands in the title, in characters")
    end: int
    counted: float | None = Field(
        description="by how much the probability falls without it; null where nothing is left to answer by"
    )


class Modality(BaseModel):
    """Picture or title as a whole; null where nothing is left to answer by."""

    counted: float | None = Field(description="by how much the probability falls without it")
    label: str | None = Field(description="what is answered without it")
    probability: float | None = Field(description="of that class")


class Explanation(BaseModel):
    """What carried an answer, as `fusionclf explain` writes it."""

    label: str = Field(description="the class that is explained")
    probability: float = Field(description="of it, with all that was given")
    answer: str = Field(description="the most likely class")
    title: str
    words: list[Piece] = Field(description="of the title, in their order")
    cells: list[list[float]] | None = Field(
        description="rows of the picture, top down: by how much the probability falls when that cell is grey; "
        "null where no picture is read"
    )
    modalities: dict[Literal["picture", "title"], Modality] = Field(
        description="those that were given and are read"
    )
    meaning: dict[str, str] = Field(description="of these fields")


class Limits(BaseModel):
    """How much a request may hold."""

    picture_bytes: int = PICTURE_BYTES
    megapixels: int = MEGAPIXELS
    title_length: int = TITLE_LENGTH
    batch_lines: int = LINES
    batch_bytes: int = LINES_BYTES


class Health(BaseModel):
    """What is served."""

    status: Literal["ok"] = "ok"
    run: str
    part: str
    classes: int
    reads_pictures: bool
    reads_titles: bool
    version: str
    limits: Limits = Limits()


class Fault(BaseModel):
    """Why a request was refused."""

    error: str = Field(description="one line: the thing, its value, the remedy")


def to_answer(answers: Answers, place: int) -> Answer:
    """One product's answer; without one, its lists are empty and `reason` says why."""
    values = as_json(answers, place)
    if not values["labels"]:
        values["probabilities"] = []
    return Answer(**values, reason=answers.reasons[place])
