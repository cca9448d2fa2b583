"""Run folder → a server that runs until a signal stops it."""

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Sequence
from typing import NoReturn

from fusionclf.console import Console
from fusionclf.errors import SettingsError, Stopped, Terminated
from fusionclf.models.engine import LEAST_OPENED
from fusionclf.prediction import RunModel
from fusionclf.serving.worker import ModelWorker

LOCAL = ("localhost", "127.0.0.1", "::1")


def serve(
    model: RunModel,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    origins: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Serve a finished run until a signal stops it.

    Requests that run then have a few seconds to finish; the rest get status 503.

    Args:
        model: of the run.
        host: address to listen at.
        port: 0 takes a free one.
        origins: other origins whose pages may use it, such as "https://shop.example".
        console: where the address is printed.

    Raises:
        RunError: the run cannot be opened.
        SettingsError: the extra `serve` is not installed, or the address is not available.
        Stopped: a signal stopped the server.
    """
    console = console or Console()
    try:
        import python_multipart  # noqa: F401  # without it FastAPI reads no forms
        import uvicorn  # noqa: F401

        from fusionclf.serving.app import make_app
        from fusionclf.serving.connections import Server
        from fusionclf.serving.guard import parse_origin
    except ImportError as error:
        raise SettingsError(f'{error.name} is not installed; run: pip install "fusionclf[serve]"') from error
    allowed = [parse_origin(origin) for origin in origins]
    with _listen(host, port) as listener:
        predictor = model.load()
        predictor.warm_up(LEAST_OPENED, console=console)  # a kept graph; to export one would delay the start
        worker, local = ModelWorker(predictor), _is_local(host)
        hosts = {*LOCAL, host.lower()} if local else None
        if not local:
            console.warn(f"{host} can be reached by other machines, and there is no password")
        console.info(
            f"serving {model.run} ({predictor.part}, {len(predictor.classes)} classes) at {_address(host, listener)}; "
            "Ctrl-C stops it"
        )
        try:
            app = make_app(worker, model.run.resolve().name, hosts=hosts, origins=allowed)
            Server(app, worker).run(sockets=[listener])
        except KeyboardInterrupt as interrupt:
            _stop(worker, signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT)


def _stop(worker: ModelWorker, number: int) -> NoReturn:
    """Raise Stopped, or exit at once where the model still computes: nothing can interrupt that."""
    if worker.is_computing:
        print("stopped; a request was not finished", file=sys.stderr, flush=True)
        os._exit(128 + number)  # Python would wait for the thread
    raise Stopped("stopped", number) from None


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket, opened before the model is loaded so that a port in use shows at once."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(
            f"cannot listen at {host}:{port} ({reason}); give another --port or --host"
        ) from error


def _is_local(host: str) -> bool:
    if host.lower() in LOCAL:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
