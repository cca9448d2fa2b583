"""Memory that was freed: kept for the next step, and given back between phases."""

import gc
import platform
import subprocess
import sys

import pytest

from fusionclf.memory import no_cycle_collection

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


def test_cycles_are_collected_again_after_an_error() -> None:
    with pytest.raises(KeyError), no_cycle_collection():
        assert not gc.isenabled()
        raise KeyError
    assert gc.isenabled()


def test_collection_that_was_off_before_stays_off() -> None:
    gc.disable()
    try:
        with no_cycle_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
