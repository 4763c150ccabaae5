"""The way up: what no exit here is sure of goes to the tier above, and comes back, or an exit here answers."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Protocol

from splitnet.deadline import Deadline
from splitnet.errors import (
    CancelledError,
    DeadlineExceededError,
    InvalidArgumentError,
    PeerError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
    outcome_of,
)
from splitnet.runtime.answer import Answer
from splitnet.runtime.batch import Batch
from splitnet.runtime.request import Request
from splitnet.telemetry import log_standing, new_request_id
from splitnet.tensors import Tensors, TensorSpec, batch_size

logger = logging.getLogger(__name__)

# Requests share a message where the one with the least time left has at least this part of what the others have:
# they all wait no longer than it does.
_NEAR = 0.9


class Forward(Protocol):
    """Sends wire tensors to the tier above."""

    def __call__(
        self, tensors: Tensors, deadline: Deadline, *, request_id: str = "", priority: int = 0
    ) -> "Future[Answer]":
        """Promise the answer for just these samples; may raise SplitNetError instead."""


class WayUp:
    """Asks the tier above for what stays open: in one message for the requests of a batch with like deadlines."""

    def __init__(self, forward: Forward | None, outputs: Sequence[TensorSpec], wire: Sequence[TensorSpec]) -> None:
        """Bind to the tier above.

        Args:
            forward: asks it; None where there is none.
            outputs: the model's outputs.
            wire: what is sent.
        """
        self._forward = forward
        self._outputs = tuple(outputs)
        self._wire = tuple(wire)
        self._complaint = ""

    def ask(self, batch: Batch) -> None:
        """See to it that every open sample of `batch` is answered; does not raise."""
        waiting = batch.waiting()
        groups = _near([batch.requests[at].deadline for at in waiting]) if len(waiting) > 1 else [[0]]
        if len(groups) == 1:
            self._ask(batch)
            return
        for group in groups:
            self._ask(batch.only([waiting[at] for at in group], self._wire))

    def _ask(self, batch: Batch) -> None:
        waiting = [batch.requests[at] for at in batch.waiting()]
        deadline = min((each.deadline for each in waiting), key=lambda each: each.at_s)
        if all(each.promise.unwanted for each in waiting):
            batch.fail(_broken_off())
            return
        try:
            if self._forward is None:
                raise UnavailableError("no tier above is configured")
            if deadline.expired:
                raise DeadlineExceededError("no time is left to ask the tier above")
            above = self._forward(
                batch.tensors, deadline, request_id=_message_id(waiting), priority=waiting[0].priority
            )
        except Exception as err:  # noqa: BLE001  (told apart, and passed on, where it is handled)
            self._failed(batch, err)
            return
        above.add_done_callback(partial(self._came_back, batch))
        for each in waiting:
            each.promise.goes_up(partial(_call_off, waiting, above))

    def _came_back(self, batch: Batch, above: "Future[Answer]") -> None:
        if above.cancelled():
            batch.fail(_broken_off())
        elif (error := above.exception()) is not None:  # raised, it would hold this frame
            self._failed(batch, error)
        else:
            self._answered(batch, above.result())

    def _answered(self, batch: Batch, answer: Answer) -> None:
        try:
            self._check(batch, answer)
        except Exception as err:  # noqa: BLE001  (told apart, and passed on, where it is handled)
            self._failed(batch, err)
            return
        try:
            batch.answer(answer)
        except Exception as err:  # in a callback nobody else would ever end the requests
            logger.exception("a request failed on its way back")
            batch.fail(err)

    def _check(self, batch: Batch, answer: Answer) -> None:
        """Raise PeerProtocolError unless `answer` has all that is not made yet, for just the open samples."""
        due = tuple(spec for spec in self._outputs if spec.name not in batch.carried)
        samples = batch.open.size
        try:
            answered = batch_size(due, answer.outputs)
        except InvalidArgumentError as err:
            raise PeerProtocolError(f"the answer from above does not fit: {err}") from err
        batched = any(spec.batch_axis is not None for spec in due)
        counts = {len(answer.exits), len(answer.fallbacks), answered if batched else samples}
        if counts != {samples} or not all(answer.exits):
            raise PeerProtocolError(f"the answer from above does not fit: it is not one of {samples} samples")

    def _failed(self, batch: Batch, error: BaseException) -> None:
        """Answer the open samples from the deepest exit in hand, or pass the error on where there is none."""
        try:
            waiting = batch.waiting()
            if isinstance(error, InvalidArgumentError) and len(waiting) > 1:
                # One request's values, or all of them too large for a message, are not the others' fault.
                for at in waiting:
                    self._ask(batch.only([at], self._wire))
            elif isinstance(error, SplitNetError) and (tier := batch.fall_back(outcome_of(error).status)):
                self._log(tier, error)
            else:
                batch.fail(error)
        except Exception as err:  # in a callback nobody else would ever end the requests
            logger.exception("a request failed as it fell back")
            batch.fail(err)

    def _log(self, tier: str, error: SplitNetError) -> None:
        """Tell why a fallback answers; a fault that persists until somebody mends it is a warning, once."""
        if isinstance(error, PeerError):
            logger.info("the exit of the %s answers instead: %s", tier, error)
        elif str(error) != self._complaint:
            self._complaint = str(error)
            logger.warning("the exit of the %s answers instead: %s", tier, error)


def _broken_off() -> CancelledError:
    return CancelledError("whoever asked has broken off the request")


def _call_off(requests: Sequence[Request], above: "Future[Answer]") -> None:
    """Cancel a message of which no request is wanted any more."""
    if all(request.promise.unwanted for request in requests):
        above.cancel()


def _message_id(requests: Sequence[Request]) -> str:
    """Return the id of a message: that of its request, or a new one that the log says stands for several."""
    if len(requests) == 1:
        return requests[0].id
    message_id = new_request_id()
    log_standing(message_id, [request.id for request in requests])
    return message_id


def _near(deadlines: Sequence[Deadline]) -> list[list[int]]:
    """Divide requests by their deadlines, so that nobody's time is cut by more than a tenth."""
    now_s = time.monotonic()
    groups: list[list[int]] = []
    for at in sorted(range(len(deadlines)), key=lambda at: deadlines[at].at_s):
        left_s = deadlines[at].at_s - now_s
        if groups and deadlines[groups[-1][0]].at_s - now_s >= _NEAR * left_s:
            groups[-1].append(at)
        else:
            groups.append([at])
    return [sorted(group) for group in groups]
