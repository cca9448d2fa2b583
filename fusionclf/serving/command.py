"""`fusionclf serve`; what it needs is imported when it runs."""

from pathlib import Path
from typing import Annotated

import typer


def serve_command(
    run: Annotated[Path, typer.Option("--run", help="A finished run.", show_default=False)],
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    part: Annotated[
        str | None, typer.Option("--part", help="Which of the run's models; default: joint, or the only one.")
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Stay on the CPU even where there is a GPU.")] = False,
) -> None:
    """Serve a finished run: a page to drop a picture on, and an HTTP endpoint.

    Example: fusionclf serve --run runs/fusion
    """
    from fusionclf.serving.server import serve

    serve(run, host=host, port=port, part=part, cpu=cpu)
