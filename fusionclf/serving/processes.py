"""Several processes that serve one address; one that ends is started again."""

import multiprocessing
import os
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Self

from fusionclf.errors import FusionclfError, SettingsError, Stopped, Terminated
from fusionclf.serving.metrics import FOLDER

STOP_SECONDS = 10.0  # for a worker to end after a signal


class Workers:
    """Processes that each serve a listening socket. In a `with` block, they end with the block.

    Args:
        target: runs in each process, with its listening socket and a function that it calls with a value when it
            serves, until a signal stops it. Target and value must be picklable.
        listeners: one for each worker. They stay open here, so that clients that connect while a worker starts again
            wait for it.
        warn: called with a line for each worker that ended.
    """

    def __init__(
        self, target: Callable[..., None], listeners: Sequence[socket.socket], warn: Callable[[str], None]
    ) -> None:
        self.target, self.listeners, self.warn = target, listeners, warn
        # Not "fork", which torch's threads do not survive.
        self.context: SpawnContext = multiprocessing.get_context("spawn")
        self.folder = tempfile.mkdtemp(prefix="fusionclf-metrics-")
        self.running: list[tuple[SpawnProcess, Connection]] = []
        share = str(max(1, (os.cpu_count() or 1) // len(listeners)))
        # torch and ONNX Runtime take that many threads.
        self.environment = {FOLDER: self.folder, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", share)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        processes, until = [process for process, _ in self.running], time.monotonic() + STOP_SECONDS
        for process in processes:
            process.terminate()
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> list[Any]:
        """The value that each one sends when it serves.

        Raises:
            SettingsError: one ended before.
            FusionclfError: one's error, such as that of a damaged run.
        """
        self.running = [self._start(listener) for listener in self.listeners]
        return [self._until_ready(place) for place in range(len(self.running))]

    def watch(self) -> None:
        """Start each worker again that ends; returns never, only a signal ends it."""
        from prometheus_client.multiprocess import mark_process_dead

        while True:
            ended = wait([process.sentinel for process, _ in self.running])
            for place, (process, connection) in enumerate(self.running):
                if process.sentinel in ended:
                    connection.close()
                    process.join()
                    mark_process_dead(process.pid, self.folder)
                    self.warn(f"worker {place + 1} ended ({_why(process.exitcode)}); it is started again")
                    self.running[place] = self._start(self.listeners[place])
                    self._until_ready(place)

    def _start(self, listener: socket.socket) -> tuple[SpawnProcess, Connection]:
        here, there = self.context.Pipe()
        process = self.context.Process(target=_run, args=(self.target, listener, there))
        before, kept = signal.signal(signal.SIGINT, signal.SIG_IGN), dict(os.environ)
        try:  # Ctrl-C reaches every process of a terminal, and this one alone decides; both are inherited
            os.environ.update(self.environment)
            process.start()
        finally:
            os.environ.clear()
            os.environ.update(kept)
            signal.signal(signal.SIGINT, before)
        there.close()
        return process, here

    def _until_ready(self, place: int) -> Any:
        process, connection = self.running[place]
        try:
            found = connection.recv()
        except EOFError:
            process.join()
            raise SettingsError(
                f"worker {place + 1} of {len(self.running)} ended before it served ({_why(process.exitcode)}); "
                "it may lack memory: give fewer --workers"
            ) from None
        if isinstance(found, FusionclfError):
            raise found
        return found


def _run(target: Callable[..., None], listener: socket.socket, connection: Connection) -> None:
    """In a worker: serve; the error of a start goes to the parent, and the worker ends when its parent does."""
    signal.signal(signal.SIGTERM, _terminate)
    threading.Thread(target=_end_with_parent, args=(connection,), daemon=True).start()
    try:
        target(listener, connection.send)
    except Stopped:
        raise SystemExit(0) from None
    except FusionclfError as error:
        with suppress(OSError):
            connection.send(error)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(0) from None


def _end_with_parent(connection: Connection) -> None:
    with suppress(EOFError, OSError):
        connection.recv()  # the parent sends nothing
    os.kill(os.getpid(), signal.SIGTERM)


def _terminate(*_: Any) -> None:
    raise Terminated


def _why(code: int | None) -> str:
    """Why a process ended, by its exit code: a signal has a negative one."""
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
