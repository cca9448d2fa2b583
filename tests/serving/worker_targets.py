"""What workers run in tests, in a module that is imported fast; run, it starts two workers that only wait."""

import os
import socket
import time
from collections.abc import Callable

from fusionclf.errors import RunError
from fusionclf.serving.access import Access
from fusionclf.serving.processes import Workers


def end_at_once(_: socket.socket, __: object) -> None:
    os._exit(9)


def refuse(_: socket.socket, __: object) -> None:
    raise RunError("runs/a: damaged; train it again")


def wait(_: socket.socket, ready: Callable[[int], None]) -> None:
    ready(os.getpid())
    time.sleep(60)


if __name__ == "__main__":
    from tests.serving import worker_targets

    with Workers(worker_targets.wait, Access(port=0).listen(2), print) as workers:
        print(*workers.start(), flush=True)
        workers.watch()
