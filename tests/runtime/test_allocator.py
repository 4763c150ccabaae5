"""Memory of programs: messages do not fault in again what others had, and collections are of what is new."""

import gc
import platform
import subprocess
import sys

import pytest

from splitnet.runtime import settle

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


def test_the_collector_leaves_alone_what_is_there() -> None:
    here: list[dict[str, str]] = [{}, {}]
    before = gc.get_freeze_count()
    try:
        settle()
        assert gc.get_freeze_count() > before
        assert not any(each is here for each in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(each is here for each in gc.get_objects())
