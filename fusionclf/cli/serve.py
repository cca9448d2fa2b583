"""`fusionclf serve`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

import typer

from fusionclf.cli.options import CpuOption, EngineOption, PartOption, RunOption
from fusionclf.cli.options_class import takes

serve_app = typer.Typer()


class LogFormat(StrEnum):
    """How requests are logged."""

    none = "none"
    json = "json"


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Options of `serve`."""

    run: RunOption
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1"
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000
    part: PartOption = None
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            metavar="ORIGIN",
            help="Origin whose pages may use the endpoint, such as https://shop.example; repeatable.",
            show_default=False,
        ),
    ] = None
    workers: Annotated[
        int,
        typer.Option("--workers", min=1, max=64, help="Number of processes; each holds the model in memory."),
    ] = 1
    log_format: Annotated[
        LogFormat,
        typer.Option("--log-format", help="json: one line of JSON for each request, on standard output."),
    ] = LogFormat.none
    cpu: CpuOption = False
    engine: EngineOption = None


@serve_app.command(name="serve")
@takes(ServeOptions)
def serve_command(options: ServeOptions) -> None:
    """Serve a finished run: a page to drop a picture on, and an HTTP endpoint.

    Example: fusionclf serve --run runs/fusion
    """
    from fusionclf.prediction import RunModel
    from fusionclf.serving.access import Access
    from fusionclf.serving.server import serve

    engine = None if options.engine is None else options.engine.value
    model = RunModel(options.run, options.part, options.cpu, engine)
    access = Access(options.host, options.port, tuple(options.allow_origin or ()))
    serve(model, access, workers=options.workers, log=options.log_format is LogFormat.json)
