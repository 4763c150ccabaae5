"""A request between its arrival and its end."""

from concurrent.futures import CancelledError as FutureCancelled
from concurrent.futures import Future
from dataclasses import dataclass

from splitnet.deadline import Deadline
from splitnet.errors import SplitNetError
from splitnet.link.timer import Alarm
from splitnet.protocol import InferResponse

# What stands for the future of a request that is over; nothing is left of it to cancel, or to answer with.
_OVER: "Future[InferResponse]" = Future()
_OVER.set_exception(AssertionError("the request is over"))


@dataclass(slots=True, eq=False)
class Underway:
    """A request between its arrival and its end; it keeps no tensors but its answer's.

    Attributes:
        id: the request's.
        model: the name that it asks for.
        version: the version that it asks for, or "".
        client: by which places are counted.
        arrived_s: `time.perf_counter()` of its arrival.
        deadline: by when it is to be answered.
        marked: whether its answer says that it is the last.
        future: ends with the tier's answer, or what the request was refused with.
        wanted: whether anybody waits for the answer.
        placed: whether it holds one of its client's places.
        alarm: goes off at its deadline.
    """

    id: str
    model: str
    version: str
    client: str
    arrived_s: float
    deadline: Deadline
    future: "Future[InferResponse]"
    marked: bool = False
    wanted: bool = True
    placed: bool = False
    alarm: Alarm | None = None
    _why: SplitNetError | None = None

    def drop(self, why: SplitNetError, *, wanted: bool = True) -> bool:
        """Drop the request unless it computes already, and return whether it was dropped.

        Args:
            why: what it ends with where it is dropped.
            wanted: whether its answer, or `why`, is still to be sent.
        """
        # First: whoever waits for the future is called within `cancel`.
        self._why, self.wanted = why, self.wanted and wanted
        return self.future.cancel()

    def let_go(self) -> None:
        """Let go of the answer, whose future knows by its callback whose it is: a circle."""
        self.future = _OVER

    def result(self) -> InferResponse:
        """Return the tier's answer.

        Raises:
            Exception: what the request ended with.
        """
        try:
            return self.future.result()
        except FutureCancelled:
            if self._why is None:
                raise
            raise self._why from None
