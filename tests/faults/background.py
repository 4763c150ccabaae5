"""What goes on beside a test: a thread from the beginning of a block to its end."""

import abc
import threading
from types import TracebackType
from typing import Self


class Background(abc.ABC):
    """Runs `_run` on a thread of its own while its block lasts; that ends it once `_stopped` is set."""

    def __init__(self, name: str, *, ends_within_s: float = 5.0) -> None:
        self._ends_within_s = ends_within_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join(self._ends_within_s)

    @abc.abstractmethod
    def _run(self) -> None:
        """Go on until `_stopped` is set."""
