"""`fusionclf serve`."""

from typing import Annotated

import typer

from fusionclf.cli.options import CpuOption, EngineOption, PartOption, RunOption

serve_app = typer.Typer()


@serve_app.command(name="serve")
def serve_command(
    run: RunOption,
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    part: PartOption = None,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            help="Origin whose pages may use the endpoint, such as https://shop.example; repeatable.",
            show_default=False,
        ),
    ] = None,
    cpu: CpuOption = False,
    engine: EngineOption = None,
) -> None:
    """Serve a finished run: a page to drop a picture on, and an HTTP endpoint.

    Example: fusionclf serve --run runs/fusion
    """
    from fusionclf.prediction import RunModel
    from fusionclf.serving.server import serve

    model = RunModel(run, part, cpu, None if engine is None else engine.value)
    serve(model, host=host, port=port, origins=allow_origin or ())
