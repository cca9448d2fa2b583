"""Memory that was freed: kept for the next step, and given back between phases."""

import platform
import subprocess
import sys

import pytest

CODE = """
import psutil
from fusionclf.memory import give_back_memory, keep_freed_memory
keep_freed_memory()
resident = lambda: psutil.Process().memory_info().rss // 2**20
start = resident()
kept = []
for number in range(3000):  # one long-lived block behind each temporary one, as folds among their base learners
    temporary = bytearray(100_000)
    kept.append(bytearray(1000))
    kept.append(temporary)
del temporary
full = resident()
kept = kept[::2]
freed = resident()
give_back_memory()
print(full - start, freed - start, resident() - start)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of glibc")
@pytest.mark.slow
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    full, freed, given = map(int, done.stdout.split())
    assert full > 250 and freed > 250 and given < 60
