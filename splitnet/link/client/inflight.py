"""The requests of a link that are unanswered: how many there may be, and which ids they go by."""

import random
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Protocol

from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, OverloadedError, SplitNetError
from splitnet.link.timer import Alarm
from splitnet.protocol import InferRequest, InferResponse, encode_request

# So many ids whose requests ended while answers were awaited are not given out again: they may still come.
_LATE_IDS = 4096


class Carrier(Protocol):
    """Whoever a call is sent to."""

    @property
    def label(self) -> str:
        """HOST:PORT."""

    @property
    def up_since_s(self) -> float:
        """When its connection came up, `time.monotonic()` seconds."""

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come from there for a while, be it that nothing was asked."""

    def silent_since(self, moment_s: float) -> bool:
        """Whether nothing has come from there since that `time.monotonic()`."""

    def served(self) -> None:
        """Note that an answer came in time."""

    def expired(self, call: "Call") -> None:
        """Note that the call's deadline has passed without an answer."""

    def outrun(self, call: "Call") -> None:
        """Note that the call has ended by what another said that was asked later."""

    def withdrawn(self, call: "Call") -> None:
        """Note that the caller has cancelled the call."""


@dataclass(slots=True, eq=False)
class Asked:
    """Somebody whose answer to a call is awaited.

    Attributes:
        carrier: who.
        connection: that it was sent on, to tell whose answers are its own.
        since_s: from when on its time counts, `time.monotonic()` seconds.
    """

    carrier: Carrier
    connection: object
    since_s: float


@dataclass(slots=True, eq=False)
class Call:
    """One request on its way.

    Attributes:
        asked_id: the id that the caller gave, or was given.
        id: on the wire.
        model: that was asked for.
        deadline: until when an answer is of use.
        message: as it is sent; empty once the request has ended, so that no queue keeps its tensors.
        others: requests that were in flight when this one was handed to the link.
        begun_s: when it was handed to the link, `time.monotonic()` seconds.
        future: ends with the answer.
        alarm: goes off at the deadline.
        reminder: goes off when another upstream should be asked, if the first is silent.
        asked: who may still answer; usually one.
        tried: whom it was sent to, the last at the end.
    """

    asked_id: str
    id: str
    model: str
    deadline: Deadline
    message: bytes = b""
    others: int = 0
    begun_s: float = field(default_factory=time.monotonic)
    future: "Future[InferResponse]" = field(default_factory=Future)
    alarm: Alarm | None = None
    reminder: Alarm | None = None
    asked: list[Asked] = field(default_factory=list)
    tried: list[Carrier] = field(default_factory=list)

    def asked_on(self, connection: object) -> Asked | None:
        """Return who is asked on that connection."""
        for each in self.asked:
            if each.connection is connection:
                return each
        return None

    def succeed(self, response: InferResponse) -> None:
        """End it with its answer, unless the caller has cancelled it."""
        self.message = b""
        if self.future.set_running_or_notify_cancel():
            given = response if self.id == self.asked_id else replace(response, id=self.asked_id)
            self.future.set_result(given)

    def fail(self, error: SplitNetError) -> None:
        """End it with an error, unless the caller has cancelled it."""
        self.message = b""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(error)


class InFlight:
    """The calls that are open, by their ids; whoever takes one out ends it."""

    def __init__(self, window: int, max_message_bytes: int, random_source: random.Random) -> None:
        """Begin without any.

        Args:
            window: most calls open at once.
            max_message_bytes: largest request, bytes.
            random_source: draws the ids of requests that have none.
        """
        self._window = window
        self._max_message_bytes = max_message_bytes
        self._random = random_source
        self._lock = threading.Lock()
        self._calls: dict[str, Call] = {}
        self._late: dict[str, int] = {}  # how many answers may still come

    def enter(self, request: InferRequest, deadline: Deadline) -> Call:
        """Take in a request and encode it; its id is its own unless another such request is unanswered.

        Raises:
            OverloadedError: the window is full.
            InvalidArgumentError: the request is larger than a message may be, or cannot be encoded.
        """
        with self._lock:
            others = len(self._calls)
            if others >= self._window:
                raise OverloadedError(f"{self._window} requests are in flight to the tier above")
            asked_id = request.id or f"{self._random.getrandbits(64):016x}"
            call = Call(asked_id, self._free(asked_id), request.model_name, deadline, others=others)
            self._calls[call.id] = call
        try:
            named = request if call.id == request.id else replace(request, id=call.id)
            call.message = self._checked(encode_request(named))
        except BaseException:
            self.leave(call)
            raise
        return call

    def find(self, call_id: str, connection: object) -> tuple[Call, Asked] | None:
        """Return the open call of that id, and who is asked on `connection`; if none, the id may be used again."""
        with self._lock:
            if (call := self._calls.get(call_id)) is None:
                if (left := self._late.pop(call_id, 1) - 1) > 0:
                    self._late[call_id] = left
                return None
            return (call, asked) if (asked := call.asked_on(connection)) is not None else None

    def leave(self, call: Call, *, late: int = 0) -> bool:
        """Take a call out, and return whether it was open; its id is kept for so many `late` answers."""
        with self._lock:
            if self._calls.get(call.id) is not call:
                return False
            del self._calls[call.id]
            if late:
                self._late[call.id] = late
                if len(self._late) > _LATE_IDS:
                    del self._late[next(iter(self._late))]
            return True

    def cancelled(self, call_id: str, future: "Future[InferResponse]") -> Call | None:
        """Take out the call of that id whose `future` its caller has cancelled, if it is still open."""
        call = self._calls.get(call_id)
        if call is None or call.future is not future or not self.leave(call, late=len(call.asked)):
            return None
        call.message = b""
        return call

    def holds(self, call: Call) -> bool:
        """Whether the call is open."""
        return self._calls.get(call.id) is call

    def all(self) -> list[Call]:
        """Return the open calls, the oldest first."""
        with self._lock:
            return list(self._calls.values())

    def _free(self, asked_id: str) -> str:
        free_id, number = asked_id, 1
        while free_id in self._calls or free_id in self._late:
            number += 1
            free_id = f"{asked_id}-{number}"
        return free_id

    def _checked(self, message: bytes) -> bytes:
        if len(message) > self._max_message_bytes:
            # gRPC would end the stream, with all that is in flight, on a message that is too large.
            raise InvalidArgumentError(
                f"the request has {len(message)} bytes; at most {self._max_message_bytes} are sent up: "
                "send fewer samples"
            )
        return message
