"""Run folder → a server that runs until it is stopped."""

import ipaddress
import signal
import socket
from pathlib import Path

from fusionclf.console import Console
from fusionclf.errors import SettingsError, Stopped, Terminated
from fusionclf.prediction import load

LOCAL = ("localhost", "127.0.0.1", "::1")
CONNECTIONS = 128  # at the same time


def serve(
    run: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    part: str | None = None,
    cpu: bool = False,
    console: Console | None = None,
) -> None:
    """Serve a finished run until a signal stops it.

    Args:
        run: the run folder.
        host: address to listen at.
        port: 0 takes a free one.
        part: which of the run's models.
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
        import uvicorn

        from fusionclf.serving.app import make_app
    except ImportError as error:
        raise SettingsError(f'{error.name} is not installed; run: pip install "fusionclf[serve]"') from error
    with _listen(host, port) as listener:
        predictor = load(run, part=part, device="cpu" if cpu else None)
        local = _is_local(host)
        app = make_app(predictor, run.resolve().name, hosts={*LOCAL, host} if local else None)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, limit_concurrency=CONNECTIONS
        )
        if not local:
            console.warn(f"{host} can be reached by other machines, and nothing asks for a password")
        console.say(
            f"serving {run} ({predictor.part}, {len(predictor.classes)} classes) at {_address(host, listener)}; "
            "Ctrl-C stops it"
        )
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt as asked:
            number = signal.SIGTERM if isinstance(asked, Terminated) else signal.SIGINT
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
    if host in LOCAL:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _address(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
