"""gRPC's threads: no more than allowed, kept for the next call, and never a reason to wait at the end."""

import subprocess
import sys
import threading

import pytest

from splitnet.link.serving.threads import DaemonThreads
from tests.link.peers import TIMEOUT_S
from tests.programs.processes import eventually


def test_calls_run_on_as_many_threads_as_are_needed_and_allowed() -> None:
    threads = DaemonThreads(2, name="test")
    assert threads.submit(divmod, 7, 2).result(TIMEOUT_S) == (3, 1)
    eventually(lambda: threads._idle == 1)  # the one that there is waits for more
    names = {threads.submit(lambda: threading.current_thread().name).result(TIMEOUT_S) for _ in range(3)}
    assert len(names) <= 2
    gate, running = threading.Event(), threading.Semaphore(0)

    def held() -> bool:
        running.release()
        return gate.wait(TIMEOUT_S)

    calls = [threads.submit(held) for _ in range(5)]
    for _ in range(2):
        assert running.acquire(timeout=TIMEOUT_S)
    assert not running.acquire(timeout=0.05)
    gate.set()
    assert all(call.result(TIMEOUT_S) for call in calls)
    threads.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        threads.submit(held)


def test_what_a_call_raises_is_its_own() -> None:
    threads = DaemonThreads(1, name="test")
    with pytest.raises(ZeroDivisionError):
        threads.submit(lambda: 1 / 0).result(TIMEOUT_S)
    assert threads.submit(lambda: 7).result(TIMEOUT_S) == 7
    threads.shutdown()


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    program = (
        "import threading\n"
        "from splitnet.link.serving.threads import DaemonThreads\n"
        "begun = threading.Event()\n"
        "def hang():\n"
        "    begun.set()\n"
        "    threading.Event().wait()\n"
        "DaemonThreads(1, name='test').submit(hang)\n"
        "assert begun.wait(20)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=TIMEOUT_S, check=False).returncode == 0
