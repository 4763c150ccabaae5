"""A request at one tier: what was asked, and the promise of an answer that can be cancelled while it waits."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from splitnet.errors import DeadlineExceededError, without_frames
from splitnet.runtime.answer import Answer, AnswerBuilder, Indices
from splitnet.runtime.waiting import Job
from splitnet.tensors import Tensors

#: Gives a request's values on a compute thread, where making them takes long; raises SplitNetError.
Load = Callable[[], Tensors]


class Promise(Future[Answer]):
    """The answer to come of a request; to cancel it takes the request out of its line, or calls it off above.

    Attributes:
        unwanted: whether nobody waits for the answer any more.
    """

    def __init__(self) -> None:
        """Promise what nobody has begun."""
        super().__init__()
        self.unwanted = False
        self._withdraw: Callable[[], bool] | None = None
        self._call_off: Callable[[], object] | None = None

    def waits(self, withdraw: Callable[[], bool]) -> None:
        """Call `withdraw` when this is cancelled; it returns whether the request was still in its line."""
        self._withdraw = withdraw

    def begin(self) -> bool:
        """Return whether the answer is still wanted; from here on the future itself cannot be cancelled."""
        self._withdraw = None  # it knows the request, which knows this: a circle would keep its tensors
        return self.set_running_or_notify_cancel()

    def goes_up(self, call_off: Callable[[], object]) -> None:
        """Call `call_off` where this is cancelled before it has ended."""
        self._call_off = call_off
        if self.unwanted:
            call_off()
        if self.done():  # before it could be told: as in `begin`, no circle is to be left
            self._call_off = None

    def cancel(self) -> bool:
        """Cancel the request unless it has begun, and return whether it is cancelled.

        One that has begun ends with whatever comes of it; where it waits for the tier above, that is told.
        """
        withdraw = self._withdraw
        cancelled = super().cancel()
        self.unwanted = True
        # Whoever has it out of the line tells those who wait for this future, and nobody else.
        if cancelled and withdraw is not None and withdraw():
            self.begin()
        if not cancelled and (call_off := self._call_off) is not None:
            call_off()
        return cancelled

    def set_result(self, result: Answer) -> None:
        """End with an answer."""
        super().set_result(result)
        self._call_off = None  # afterwards: `goes_up` may set it as long as this is not done

    def set_exception(self, exception: BaseException | None) -> None:
        """End without."""
        super().set_exception(without_frames(exception) if exception is not None else None)
        self._call_off = None


@dataclass(slots=True, eq=False)
class Request(Job):
    """One request.

    Attributes:
        tensors: as the first stage takes them; without values where `load` is to give them.
        load: gives `tensors` with their values.
        id: by which logs of all tiers know it.
        priority: as it was asked.
        run: computes it, alone or with others.
        promise: of its answer.
        builder: what is answered so far, by the run under way.
    """

    tensors: Tensors
    load: Load | None
    id: str
    priority: int
    run: Callable[[Sequence["Request"]], None]
    promise: Promise = field(default_factory=Promise)
    builder: AnswerBuilder = field(init=False)

    def compute(self, jobs: Sequence["Request"]) -> None:
        """Compute the requests `jobs` together."""
        self.run(jobs)

    def expire(self) -> None:
        """End the request, which nobody has begun."""
        if self.promise.begin():
            self.promise.set_exception(too_late())

    def place(self, which: Indices, outputs: Tensors, exits: tuple[str, ...], fallbacks: tuple[str, ...]) -> None:
        """Answer the samples `which`, and the request with the last of them."""
        self.builder.place(which, outputs, exits, fallbacks)
        if self.builder.complete:
            self.promise.set_result(self.builder.finish())


def too_late() -> DeadlineExceededError:
    """Return why a request is not computed any more."""
    return DeadlineExceededError("the deadline passed while the request waited")
