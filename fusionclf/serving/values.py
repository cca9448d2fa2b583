"""What the endpoint answers, and how much it takes: the OpenAPI schema is made of these."""

from typing import Literal

from pydantic import BaseModel, Field

from fusionclf.catalog import MEGAPIXELS
from fusionclf.prediction import Answers
from fusionclf.prediction.formats import as_json

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
    decision: Literal["accept", "abstain", "none"]
    picture_status: Literal["used", "missing", "unreadable", "ignored"]
    title_status: Literal["used", "missing", "unreadable", "ignored"]
    reason: str = Field(default="", description="why there is no answer")


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
