"""A pipeline: the stages that one tier runs, the router between them, and the way up for what is not sure."""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.deadline import Deadline
from splitnet.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    PeerError,
    PeerProtocolError,
    SplitNetError,
    UnavailableError,
    outcome_of,
)
from splitnet.runtime.answer import Answer, AnswerBuilder, Indices
from splitnet.runtime.executor import BoundedExecutor
from splitnet.runtime.stage import Stage, StageResult
from splitnet.tensors import Tensors, TensorSpec, batch_size, take_samples

logger = logging.getLogger(__name__)

#: Sends wire tensors to the tier above and promises its answer for just these samples.
Forward = Callable[[Tensors, Deadline], "Future[Answer]"]

#: Gives a request's values on a compute thread, where making them takes long; raises SplitNetError.
Load = Callable[[], Tensors]


@dataclass(slots=True)
class _Request:
    """One request on its way through the stages: which samples are still open, and what is known of them."""

    deadline: Deadline
    builder: AnswerBuilder
    future: "Future[Answer]"
    open: Indices
    tensors: Tensors
    carried: Tensors
    load: Load | None
    fallback: tuple[str, Tensors] | None = None


class Pipeline:
    """Runs requests through stages on an executor; samples that stay open after the last stage go up."""

    def __init__(
        self,
        stages: Sequence[Stage],
        outputs: Sequence[TensorSpec],
        executor: BoundedExecutor,
        *,
        forward: Forward | None = None,
        answer_late: bool = False,
        max_batch: int = 1024,
        version: int = 0,
    ) -> None:
        """Build a pipeline.

        Args:
            stages: in order; each takes what the one before sends.
            outputs: the model's outputs.
            executor: where stages compute.
            forward: the way up; without it what would go up is answered by the deepest exit in hand.
            answer_late: compute and answer from this tier's own exit even after the deadline (the
                device does: nobody else can), instead of dropping the request.
            max_batch: most samples in one request.
            version: of the package that the stages are from; its answers say so.
        """
        self.stages = tuple(stages)
        self.incoming: tuple[TensorSpec, ...] = self.stages[0].incoming
        self._specs = {spec.name: spec for spec in outputs}
        self._executor = executor
        self._forward = forward
        self._answer_late = answer_late
        self._max_batch = max_batch
        self._version = version
        self._complaint = ""

    def submit(self, tensors: Tensors, deadline: Deadline, *, load: Load | None = None) -> "Future[Answer]":
        """Take a request; the future ends with its Answer or a SplitNetError.

        Args:
            tensors: by name, as the first stage takes them.
            deadline: by when the answer is wanted.
            load: where `tensors` only stand for their types and shapes, what gives those with their values.

        Raises:
            InvalidArgumentError: the tensors are not what the first stage takes.
            OverloadedError: too many requests are held.
            UnavailableError: shutting down.
        """
        samples = batch_size(self.incoming, tensors)
        if samples > self._max_batch:
            raise InvalidArgumentError(f"{samples} samples in one request; at most {self._max_batch} are taken")
        future: Future[Answer] = Future()
        future.set_running_or_notify_cancel()
        axes: Mapping[str, int | None] = {name: spec.batch_axis for name, spec in self._specs.items()}
        builder = AnswerBuilder(samples, axes, self._version)
        request = _Request(deadline, builder, future, np.arange(samples), tensors, {}, load)
        self._executor.submit(self._run, request)
        return future

    def _run(self, request: _Request) -> None:
        try:
            if self._executor.dropping:
                raise UnavailableError("shutting down")
            if request.deadline.expired and not self._answer_late:
                raise DeadlineExceededError("the deadline passed while the request waited")
            if request.load is not None:
                request.tensors = request.load()
            for stage in self.stages:
                self._step(stage, request)
                if not request.open.size:
                    request.future.set_result(request.builder.finish())
                    return
            self._go_up(request)
        except SplitNetError as err:
            request.future.set_exception(err)
        except Exception as err:
            logger.exception("a request failed")
            request.future.set_exception(err)

    def _step(self, stage: Stage, request: _Request) -> None:
        """Run one stage; place the samples that leave, compact the rest."""
        result = stage.run(request.tensors)
        request.builder.timings_ms[stage.tier] = result.compute_ms
        request.carried |= {name: result.values[name] for name in stage.answers}
        if not stage.outgoing:
            self._place(request, request.open, request.carried, stage.tier)
            request.open = request.open[:0]
            return
        leaving, staying = np.flatnonzero(result.leaving), np.flatnonzero(~result.leaving)
        if leaving.size and result.exit_outputs is not None:
            answers = self._take(self._own(result.exit_outputs), leaving)
            self._place(request, request.open[leaving], answers, stage.tier)
        request.open = request.open[staying]
        if staying.size:
            self._compact(stage, result, request, staying)

    def _compact(self, stage: Stage, result: StageResult, request: _Request, staying: NDArray[np.intp]) -> None:
        values = {spec.name: result.values[spec.name] for spec in stage.outgoing}
        fallback = request.fallback
        if result.exit_outputs is not None:
            fallback = (stage.tier, self._own(result.exit_outputs))
        if staying.size != result.leaving.size:
            values = {spec.name: take_samples(spec, values[spec.name], staying) for spec in stage.outgoing}
            request.carried = self._take(request.carried, staying)
            fallback = (fallback[0], self._take(fallback[1], staying)) if fallback is not None else None
        request.tensors, request.fallback = values, fallback

    def _own(self, outputs: Tensors) -> Tensors:
        """Leave out of an exit's answers those that a tier below has made for good."""
        return {name: array for name, array in outputs.items() if name in self._specs}

    def _take(self, outputs: Tensors, which: NDArray[np.intp]) -> Tensors:
        return {name: take_samples(self._specs[name], array, which) for name, array in outputs.items()}

    def _place(self, request: _Request, which: Indices, outputs: Tensors, tier: str, reason: str = "") -> None:
        request.builder.place(which, outputs, (tier,) * which.size, (reason,) * which.size)

    def _go_up(self, request: _Request) -> None:
        try:
            if self._forward is None:
                raise UnavailableError("no tier above is configured")
            if request.deadline.expired:
                raise DeadlineExceededError("no time is left to ask the tier above")
            upstream = self._forward(request.tensors, request.deadline)
        except SplitNetError as err:
            self._fall_back(request, err)
            return
        upstream.add_done_callback(lambda done: self._came_back(request, done))

    def _came_back(self, request: _Request, upstream: "Future[Answer]") -> None:
        try:
            try:
                answer = upstream.result()
                self._check(request, answer)
            except Exception as err:  # noqa: BLE001  (told apart, and passed on, where it is handled)
                self._fall_back(request, err)
                return
            request.builder.timings_ms.update(answer.timings_ms)
            outputs = request.carried | dict(answer.outputs)
            request.builder.place(request.open, outputs, answer.exits, answer.fallbacks)
            request.future.set_result(request.builder.finish())
        except Exception as err:  # in a callback nobody else would ever end the request
            logger.exception("a request failed on its way back")
            request.future.set_exception(err)

    def _check(self, request: _Request, answer: Answer) -> None:
        """Raise PeerProtocolError unless `answer` has all that is not made yet, for just the open samples."""
        due = tuple(spec for name, spec in self._specs.items() if name not in request.carried)
        samples = request.open.size
        try:
            answered = batch_size(due, answer.outputs)
        except InvalidArgumentError as err:
            raise PeerProtocolError(f"the answer from above does not fit: {err}") from err
        batched = any(spec.batch_axis is not None for spec in due)
        counts = {len(answer.exits), len(answer.fallbacks), answered if batched else samples}
        if counts != {samples} or not all(answer.exits):
            raise PeerProtocolError(f"the answer from above does not fit: it is not one of {samples} samples")

    def _fall_back(self, request: _Request, error: BaseException) -> None:
        """Answer the open samples from the deepest exit in hand, or pass the error on where there is none."""
        if request.fallback is None or not isinstance(error, SplitNetError):
            request.future.set_exception(error)
            return
        tier, outputs = request.fallback
        self._log(tier, error)
        self._place(request, request.open, outputs, tier, outcome_of(error).status)
        request.future.set_result(request.builder.finish())

    def _log(self, tier: str, error: SplitNetError) -> None:
        """Tell why a fallback answers; a fault that persists until somebody mends it is a warning, once."""
        if isinstance(error, PeerError):
            logger.info("the exit of the %s answers instead: %s", tier, error)
        elif str(error) != self._complaint:
            self._complaint = str(error)
            logger.warning("the exit of the %s answers instead: %s", tier, error)
