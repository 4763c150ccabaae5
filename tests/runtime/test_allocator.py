"""Kept memory: messages do not fault in again what those before them had."""

import platform
import subprocess
import sys

import pytest

# Prints how many minor faults a message of 800 KB costs: received, framed, copied.
_MESSAGES = """
import resource, sys
from splitnet.runtime import keep_memory
if sys.argv[1] == "keep":
    assert keep_memory()
def message():
    received = bytes(800 * 1024)
    framed = b"".join((bytes(64), received))
    return bytes(memoryview(framed)[64:])
for _ in range(4):
    message()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(32):
    message()
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 32)
"""


def faults(mode: str) -> float:
    run = subprocess.run(
        [sys.executable, "-c", _MESSAGES, mode], capture_output=True, text=True, check=True, timeout=60
    )
    return float(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has these settings")
def test_a_message_reuses_the_memory_of_those_before() -> None:
    assert faults("keep") <= 10
    assert faults("plain") > 100
