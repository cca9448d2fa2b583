"""Run folder → a server that runs until a signal stops it."""

import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import psutil

from fusionclf.console import SILENT, Console, size_text
from fusionclf.errors import SettingsError, Stopped, Terminated
from fusionclf.prediction import RunModel
from fusionclf.serving.access import Access

if TYPE_CHECKING:
    from fusionclf.serving.worker import ModelWorker


@dataclass(frozen=True)
class Ready:
    """A process that serves.

    Attributes:
        part, classes: of its model, and their number.
        memory: bytes that it alone uses.
    """

    part: str
    classes: int
    memory: int


def serve(
    model: RunModel,
    access: Access = Access(),  # noqa: B008  frozen
    *,
    workers: int = 1,
    log: bool = False,
    console: Console | None = None,
) -> None:
    """Serve a finished run until a signal stops it.

    Requests that run then have a few seconds to finish; the rest get status 503.

    Args:
        model: of the run.
        access: where to listen, and who may use it.
        workers: number of processes; each loads the model.
        log: print a line of JSON for each request to standard output.
        console: where the address is printed.

    Raises:
        RunError: the run cannot be opened.
        SettingsError: the extra `serve` is not installed, or the address is not available.
        Stopped: a signal stopped the server.
    """
    console = console or Console()
    try:
        import prometheus_client  # noqa: F401
        import python_multipart  # noqa: F401  # without it FastAPI reads no forms
        import uvicorn  # noqa: F401

        from fusionclf.serving.guard import parse_origin
    except ImportError as error:
        raise SettingsError(f'{error.name} is not installed; run: pip install "fusionclf[serve]"') from error
    serving = Serving(model, access, tuple(map(parse_origin, access.origins)), log)
    with ExitStack() as stack:
        listeners = [stack.enter_context(each) for each in access.listen(workers)]
        if not access.is_local:
            console.warn(
                f"{access.host}: other machines can reach this server, which has no authentication; put a proxy with "
                "authentication in front of it, or use --host 127.0.0.1"
            )

        def announce(*ready: Ready) -> None:
            console.info(
                f"serving {model.run} ({_facts(ready)}) at {access.url(listeners[0])}; Ctrl-C stops it"
            )

        if workers == 1:
            serving(listeners[0], announce, console)
        else:
            _serve_in_processes(serving, listeners, announce, console)


def _serve_in_processes(
    serving: "Serving", listeners: Sequence[socket.socket], announce: Callable[..., None], console: Console
) -> None:
    from fusionclf.serving.processes import Workers

    try:
        with Workers(serving, listeners, console.warn) as workers:
            announce(*workers.start())
            workers.watch()
    except KeyboardInterrupt as interrupt:
        raise Stopped("stopped", _signal(interrupt)) from None


def _facts(ready: Sequence[Ready]) -> str:
    """What serves: the model's part and classes, and what each process costs."""
    each = size_text(max(one.memory for one in ready))
    cost = f"{each} of memory" if len(ready) == 1 else f"{len(ready)} workers, {each} of memory each"
    return f"{ready[0].part}, {ready[0].classes} classes, {cost}"


@dataclass(frozen=True)
class Serving:
    """Serves a run at a listening socket until a signal stops it: in this process, or in another one.

    Attributes:
        model, access, log: as of `serve`.
        origins: of `access`, as browsers send them.
    """

    model: RunModel
    access: Access
    origins: Sequence[str]
    log: bool

    def __call__(
        self, listener: socket.socket, ready: Callable[[Ready], None], console: Console = SILENT
    ) -> NoReturn:
        """Serve; `ready` is called when the model has computed once."""
        from fusionclf.models.engine import LEAST_OPENED  # the parent of workers needs no torch
        from fusionclf.serving.app import make_app
        from fusionclf.serving.connections import Server
        from fusionclf.serving.observed import print_line
        from fusionclf.serving.worker import ModelWorker

        predictor = self.model.load()
        predictor.warm_up(LEAST_OPENED, console=console)  # a kept graph; to export one would delay the start
        worker, log = ModelWorker(predictor), print_line if self.log else None
        worker.warm_up()
        name, hosts = self.model.run.resolve().name, self.access.hosts
        app = make_app(worker, name, hosts=hosts, origins=self.origins, log=log)
        ready(Ready(predictor.part, len(predictor.classes), psutil.Process().memory_full_info().uss))
        number = signal.SIGINT
        try:
            Server(app, worker).run(sockets=[listener])
        except KeyboardInterrupt as interrupt:
            number = _signal(interrupt)
        _stop(worker, number)


def _signal(interrupt: KeyboardInterrupt) -> signal.Signals:
    return signal.SIGTERM if isinstance(interrupt, Terminated) else signal.SIGINT


def _stop(worker: "ModelWorker", number: int) -> NoReturn:
    """Raise Stopped, or exit at once where the model still computes: nothing can interrupt that."""
    if worker.is_computing:
        print("stopped; a request was not finished", file=sys.stderr, flush=True)
        os._exit(128 + number)  # Python would wait for the thread
    worker.predictor.keep_texts()
    raise Stopped("stopped", number) from None
