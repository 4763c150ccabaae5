"""Holding an executor's threads until a test lets them go on."""

import threading

from splitnet.runtime import BoundedExecutor


class Gate:
    """Calls that wait until they are let through, and say that they have begun."""

    def __init__(self) -> None:
        self.opened = threading.Event()
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)

    def wait(self) -> None:
        self.begun.release()
        assert self.opened.wait(30)
        self.ended.release()


def held(executor: BoundedExecutor, threads: int = 1) -> Gate:
    """Keep so many threads of `executor` busy until the gate is opened."""
    gate = Gate()
    for _ in range(threads):
        executor.submit(gate.wait)
    for _ in range(threads):
        assert gate.begun.acquire(timeout=30)
    return gate
