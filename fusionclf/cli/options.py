"""Options and arguments that several commands have."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from fusionclf.errors import PredictionError, quoted

DataOption = Annotated[
    Path,
    typer.Option("--data", help="The catalog: its folder, or its table.", show_default=False),
]
NewRunOption = Annotated[Path, typer.Option("--out", help="Run folder to make.", show_default=False)]
RunOption = Annotated[Path, typer.Option("--run", help="A finished run.", show_default=False)]
PartOption = Annotated[
    str | None,
    typer.Option(
        "--part",
        help="Which of the run's models, such as rest; default: joint (all classes), or the only one.",
    ),
]
ConfigOption = Annotated[
    str | None, typer.Option("--config", help="Settings file: a path, or a name from configs/ (image-cpu).")
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace the run in the folder.")]
ResumeOption = Annotated[bool, typer.Option("--resume", help="Resume the run in the folder.")]


class EngineName(StrEnum):
    """What runs encoders."""

    auto = "auto"
    torch = "torch"
    onnx = "onnx"


EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        "--engine", help="What runs the encoders on a CPU; default: the run's setting train.engine."
    ),
]
CpuOption = Annotated[bool, typer.Option("--cpu", help="Use the CPU even if there is a GPU.")]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY=VALUE]...", help="Settings, such as train.epochs=3.", show_default=False),
]
DataOverrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...",
        help="Settings, such as catalog.title=name or split.rule=random.",
        show_default=False,
    ),
]
FieldOption = Annotated[
    list[str] | None,
    typer.Option(
        "--field", metavar="NAME=VALUE", help="A further text or attribute of the product; repeatable."
    ),
]
Columns = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE]...", help="Column settings, such as catalog.title=name.", show_default=False
    ),
]


def parse_fields(texts: Sequence[str]) -> dict[str, str]:
    """Name → value of the texts NAME=VALUE.

    Raises:
        PredictionError: a text has no name, or a name occurs twice.

    >>> parse_fields(["brand=Nordvik", "description=Warm = light."])
    {'brand': 'Nordvik', 'description': 'Warm = light.'}
    """
    found: dict[str, str] = {}
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name or name in found:
            raise PredictionError(
                f"--field {quoted(text)}: write NAME=VALUE, such as brand=Nordvik, each name once"
            )
        found[name] = value
    return found
