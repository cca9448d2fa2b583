"""A million rows in 60 s and 3 GiB: the benchmark, in a process of its own, whose peak memory is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.slow
def test_a_million_rows(sample_dir: Path) -> None:
    script = ROOT / "benchmarks/catalog_million.py"
    done = subprocess.run(
        [sys.executable, str(script), str(sample_dir)], capture_output=True, text=True, check=True
    )
    found = {name: float(value.replace(",", "")) for name, value in map(str.split, done.stdout.splitlines())}
    assert found["rows"] == 1_000_000
    assert found["repaired"] > 6_000
    assert found["read_s"] + found["split_s"] < 60
    assert found["peak_gib"] < 3
