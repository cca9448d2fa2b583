"""Run folder → a server that runs until it is stopped."""

import ipaddress
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fusionclf.console import Console
from fusionclf.errors import SettingsError, Stopped, Terminated
from fusionclf.prediction import load
from fusionclf.serving.worker import Asker

LOCAL = ("localhost", "127.0.0.1", "::1")


def serve(
    run: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    part: str | None = None,
    origins: Sequence[str] = (),
    cpu: bool = False,
    console: Console | None = None,
) -> None:
    """Serve a finished run until a signal stops it.

    Requests that run then have a few seconds to finish; the rest get status 503.

    Args:
        run: the run folder.
        host: address to listen at.
        port: 0 takes a free one.
        part: which of the run's models.
        origins: other origins whose pages may use it, such as "https://shop.example".
        cpu: stay on the CPU.
        console: told where the page is.

    Raises:
        RunError: the run cannot be opened.
        SettingsError: the extra `serve` is missing, or the address cannot be had.
        Stopped: a signal asked to stop.
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
        predictor = load(run, part=part, device="cpu" if cpu else None)
        asker, local = Asker(predictor), _is_local(host)
        hosts = {*LOCAL, host.lower()} if local else None
        if not local:
            console.warn(f"{host} can be reached by other machines, and nothing asks for a password")
        console.info(
            f"serving {run} ({predictor.part}, {len(predictor.classes)} classes) at {_address(host, listener)}; "
            "Ctrl-C stops it"
        )
        try:
            app = make_app(asker, run.resolve().name, hosts=hosts, origins=allowed)
            Server(app, asker).run(sockets=[listener])
        except KeyboardInterrupt as asked:
            _end(asker, signal.SIGTERM if isinstance(asked, Terminated) else signal.SIGINT)


def _end(asker: Asker, number: int) -> NoReturn:
    """Raise Stopped, or exit at once where a request is still computed: nothing can interrupt that."""
    if asker.is_computing:
        print("stopped; a request was not finished", file=sys.stderr, flush=True)
        os._exit(128 + number)  # Python would wait for the thread
    raise Stopped("stopped", number) from None


def _listen(host: str, port: int) -> socket.socket:
    """A socket before the model is loaded: a port in use shows at once."""
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
