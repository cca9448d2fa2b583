"""`fusionclf serve` as a process: where it listens, how it stops, and what it refuses."""

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fusionclf.cli import app
from fusionclf.serving.access import Access
from tests.runs import Runs

pytestmark = pytest.mark.slow


def refused(*words: object) -> str:
    result = CliRunner().invoke(app, ["serve", *map(str, words)])
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.splitlines()
    return line


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_serves_until_a_signal_stops_it(runs: Runs, number: int, code: int) -> None:
    command = [sys.executable, "-m", "fusionclf", "serve", "--run", str(runs("linear")), "--port", "0"]
    # Where the tests run behind `&`, SIGINT is ignored, and a child would inherit that.
    with subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
            found = re.search(r"at (http://127\.0\.0\.1:\d+); Ctrl-C", line)
            assert found, line
            with urllib.request.urlopen(f"{found[1]}/health", timeout=30) as response:
                assert json.load(response)["run"] == "linear"
        finally:
            process.send_signal(number)
            rest = process.stderr.read()
    assert (process.returncode, rest) == (code, "stopped\n")


def test_a_port_in_use_is_one_line(runs: Runs) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused("--run", runs("linear"), "--port", port)
    assert f"cannot listen at 127.0.0.1:{port}" in line and "give another --port" in line


def test_a_folder_that_is_no_run_is_one_line(tmp_path: Path) -> None:
    assert "no such folder" in refused("--run", tmp_path / "none", "--port", 0)
    assert "no run folder" in refused("--run", tmp_path, "--port", 0)


def test_a_bad_origin_is_one_line(runs: Runs) -> None:
    line = refused("--run", runs("linear"), "--port", 0, "--allow-origin", "*")
    assert "--allow-origin '*': not an origin" in line and "https://shop.example" in line


def test_without_the_extra_it_says_what_to_install(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    line = refused("--run", runs("linear"), "--port", 0)
    assert line == 'error: uvicorn is not installed; run: pip install "fusionclf[serve]"'


def test_only_loopback_addresses_are_local() -> None:
    assert all(Access(host).is_local for host in ("localhost", "127.0.0.1", "127.1.2.3", "::1"))
    assert not any(Access(host).is_local for host in ("0.0.0.0", "::", "192.168.0.7", "example.org"))
