"""`fusionclf serve --workers`: one address, metrics of all together, a worker that dies, and the stop."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from fusionclf.errors import RunError, SettingsError
from fusionclf.serving.access import Access
from fusionclf.serving.processes import Workers
from tests.runs import Runs
from tests.serving.worker_targets import end_at_once, refuse

pytestmark = pytest.mark.slow
LINE = r"serving \S+ \(joint, \d+ classes, 2 workers, ([\d.]+) GB of memory each\) at (http://127\.0\.0\.1:\d+); Ctrl-C"


@pytest.fixture
def process(runs: Runs, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`fusionclf serve` with two workers, its requests logged to a file."""
    command = ["serve", "--run", str(runs("linear")), "--port", "0", "--workers", "2", "--log-format", "json"]
    with (tmp_path / "log.jsonl").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "fusionclf", *command], stdout=log, stderr=subprocess.PIPE, text=True
        )
    yield process
    process.kill()
    process.communicate()


def get(address: str, body: bytes | None = None) -> str:
    with urllib.request.urlopen(address, body, timeout=60) as response:
        return response.read().decode()


def test_two_workers_serve_one_address_until_a_signal(process: subprocess.Popen[str], tmp_path: Path) -> None:
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.match(LINE, line)
    assert found, line
    address = found[2]
    assert 0.1 < float(found[1]) < 4
    for _ in range(20):
        assert json.loads(get(f"{address}/predict", b"title=Red+Shirts"))["labels"]
    metrics = get(f"{address}/metrics")  # of both, whichever answers
    assert 'fusionclf_requests_total{path="/predict",status="200"} 20.0' in metrics
    lines = [json.loads(text) for text in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert len({line["request_id"] for line in lines if line["path"] == "/predict"}) == 20

    workers = [each for each in psutil.Process(process.pid).children() if "spawn_main" in str(each.cmdline())]
    assert len(workers) == 2
    workers[0].kill()
    assert re.match(r"warning: worker [12] ended \(SIGKILL\); it is started again", process.stderr.readline())
    for _ in range(20):
        assert json.loads(get(f"{address}/predict", b"title=Red+Shirts"))["labels"]
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.stderr.read() == "stopped\n" and process.wait() == 143
    assert time.monotonic() - started < 15
    assert not any(each.is_running() for each in workers)


def test_workers_end_with_their_parent() -> None:
    command = [sys.executable, "-m", "tests.serving.worker_targets"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [psutil.Process(int(number)) for number in parent.stdout.readline().split()]
        assert len(workers) == 2
        parent.kill()
        assert psutil.wait_procs(workers, timeout=15)[1] == []


def test_a_worker_that_cannot_start_is_one_line() -> None:
    with Access(port=0).listen()[0] as listener:
        with Workers(end_at_once, [listener], print) as workers:
            with pytest.raises(SettingsError, match=r"worker 1 of 1 ended before it served \(exit code 9\)"):
                workers.start()
        with Workers(refuse, [listener], print) as workers:
            with pytest.raises(RunError, match="runs/a: damaged; train it again"):
                workers.start()


def test_a_port_that_another_server_shares_is_in_use() -> None:
    first, second = Access(port=0).listen(2)
    assert first.getsockname() == second.getsockname()
    with first, second, pytest.raises(SettingsError, match="give another --port"):
        Access(port=first.getsockname()[1]).listen(2)
