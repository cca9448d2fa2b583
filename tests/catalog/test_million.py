"""Many rows take seconds and little memory: the benchmark, in a process of its own, at a quarter of its size."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROWS = 250_000


@pytest.mark.slow
def test_a_quarter_of_a_million_rows(sample_dir: Path) -> None:
    script = ROOT / "benchmarks/catalog_million.py"
    done = subprocess.run(
        [sys.executable, str(script), str(sample_dir), str(ROWS)], capture_output=True, text=True, check=True
    )
    found = {name: float(value.replace(",", "")) for name, value in map(str.split, done.stdout.splitlines())}
    assert found["rows"] == ROWS
    assert found["repaired"] > 1_500
    assert found["read_s"] + found["split_s"] < 60  # 10 where nothing else runs
    assert found["peak_gib"] < 0.6
