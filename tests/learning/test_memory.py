"""Memory that was freed is used again; where the C library knows no such setting, nothing happens."""

import ctypes
import subprocess
import sys

import pytest

from pipeline.learning import memory

# Page faults while 64 MB are taken and freed 20 times: every page of every round, or only those of the first.
COUNT = """
import resource, torch
from pipeline.learning import memory

def page_faults():
    torch.zeros(16 * 2**20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.zeros(16 * 2**20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(page_faults())
memory.keep_freed_memory()
print(page_faults())
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
def test_freed_memory_is_used_again():
    counted = subprocess.run([sys.executable, "-c", COUNT], capture_output=True, text=True, check=True).stdout
    before, after = map(int, counted.split())
    assert after < 0.5 * before


@pytest.mark.parametrize("error", [OSError, AttributeError, TypeError])
def test_another_c_library_is_left_alone(monkeypatch, error):
    def missing(name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", missing)
    memory.keep_freed_memory()
