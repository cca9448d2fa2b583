"""A few of the kills of benchmarks/kill_everywhere.py."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

COMMANDS = ("baseline", "baseline --overwrite", "train text", "predict", "compare", "data sample")


@pytest.mark.slow
def test_killed_command_run_again_ends_like_an_uncut_one() -> None:
    words = [sys.executable, "-m", "benchmarks.kill_everywhere", "--points", "3", "--only", *COMMANDS]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"| all | {3 * len(COMMANDS)} | {3 * len(COMMANDS)} | 0 |" in done.stdout
