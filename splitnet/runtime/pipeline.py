"""A pipeline: the stages that one tier runs, and the line before them in which requests wait to be computed."""

import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from functools import partial

import numpy as np

from splitnet.config.serving import BatchingConfig
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, SplitNetError, UnavailableError
from splitnet.runtime.answer import Answer, AnswerBuilder
from splitnet.runtime.batch import Batch
from splitnet.runtime.executor import BoundedExecutor
from splitnet.runtime.request import Load, Request, too_late
from splitnet.runtime.stage import Stage
from splitnet.runtime.waiting import ALONE, NORMAL_PRIORITY, Line
from splitnet.runtime.way_up import Forward, WayUp
from splitnet.telemetry import Events, SegmentRun
from splitnet.tensors import Array, Tensors, TensorSpec, batch_size

logger = logging.getLogger(__name__)


class Pipeline:
    """Runs requests through stages on an executor; samples that stay open after the last stage go up.

    Requests that wait are computed together where all tensors on their way have a batch axis. A batch that fails
    is computed again, each request by itself, so that none fails for another's values.
    """

    def __init__(  # noqa: PLR0913  (each of its own kind: what runs, where, for whom, and who listens)
        self,
        stages: Sequence[Stage],
        outputs: Sequence[TensorSpec],
        executor: BoundedExecutor,
        *,
        forward: Forward | None = None,
        max_batch: int = 1024,
        version: int = 0,
        plan: str = "",
        batching: BatchingConfig = ALONE,
        events: Events = Events(),  # noqa: B008  (it has no state)
    ) -> None:
        """Build a pipeline.

        Args:
            stages: in order; each takes what the one before sends.
            outputs: the model's outputs.
            executor: where stages compute.
            forward: the way up; without it what would go up is answered by the deepest exit in hand.
            max_batch: most samples in one request.
            version: of the package that the stages are from; its answers say so.
            plan: id of the plan that the stages are from, for `events`.
            batching: how requests that wait are computed together.
            events: hears of each run of a segment.
        """
        self.stages = tuple(stages)
        self.incoming: tuple[TensorSpec, ...] = self.stages[0].incoming
        self._specs = {spec.name: spec for spec in outputs}
        self._axes: Mapping[str, int | None] = {spec.name: spec.batch_axis for spec in outputs}
        self._executor = executor
        self._max_batch = max_batch
        self._version = version
        self._plan = plan
        self._batching = batching if self._divides() else ALONE
        self._events = events
        self._way_up = WayUp(forward, outputs, self.stages[-1].outgoing)
        self._line: Line[Request] = Line(self._batching)

    def submit(
        self,
        tensors: Tensors,
        deadline: Deadline,
        *,
        load: Load | None = None,
        priority: int = 0,
        inline: bool = False,
        request_id: str = "",
    ) -> "Future[Answer]":
        """Take a request; the future ends with its Answer or a SplitNetError.

        The future can be cancelled until it begins to compute; the request then takes no place any more.

        Args:
            tensors: by name, as the first stage takes them.
            deadline: by when the answer is wanted.
            load: where `tensors` only stand for their types and shapes, what gives those with their values.
            priority: 1 goes before all others, 3 and more behind them; 0 is as 2.
            inline: compute on this thread where a compute thread is idle, nothing waits and no request is kept
                waiting for others; whatever else this thread could do has to wait for that.
            request_id: by which logs of all tiers know the request.

        Raises:
            InvalidArgumentError: the tensors are not what the first stage takes, or the priority is negative.
            OverloadedError: too many requests are held.
            UnavailableError: shutting down.
        """
        samples = batch_size(self.incoming, tensors)
        if samples > self._max_batch:
            raise InvalidArgumentError(f"{samples} samples in one request; at most {self._max_batch} are taken")
        if priority < 0:
            raise InvalidArgumentError(f"priority: expected 0 or more, got {priority}")
        level = priority or NORMAL_PRIORITY
        request = Request(
            samples, deadline, level, time.monotonic(), tensors, load, request_id, priority, self._run
        )
        promise = request.promise
        promise.waits(partial(self._executor.withdraw, self._line, request))
        try:
            self._executor.put(self._line, request, inline=inline)
        except SplitNetError:
            promise.begin()  # which nobody else will: it must not keep the request that it is part of
            raise
        return promise

    def warm_up(self) -> None:
        """Run each segment on zeros, of one sample and of a full batch: first runs take longer than later ones."""
        for samples in sorted({1, self._batching.max_samples}):
            for stage in self.stages:
                if stage.segment is not None:
                    stage.segment.run({spec.name: _zeros(spec, samples) for spec in stage.incoming})

    def close(self) -> None:
        """Free the models of its stages; what is computed from now on ends with UnavailableError."""
        for stage in self.stages:
            if stage.segment is not None:
                stage.segment.close()

    def _divides(self) -> bool:
        """Whether what several requests make together can be told apart by its batch axes."""
        wires = (spec for stage in self.stages for spec in (*stage.incoming, *stage.outgoing))
        return all(spec.batch_axis is not None for spec in (*wires, *self._specs.values()))

    def _run(self, requests: Sequence[Request]) -> None:
        if begun := [request for request in requests if self._begins(request)]:
            self._answer(begun)

    def _begins(self, request: Request) -> bool:
        """Whether `request` is still wanted, in time and has its values; ends it otherwise."""
        if not request.promise.begin():
            return False
        try:
            if self._executor.dropping:
                raise UnavailableError("shutting down")
            if request.deadline.expired:
                raise too_late()
            if request.load is not None:
                request.tensors = request.load()
        except Exception as err:  # noqa: BLE001  (it is handed on)
            _fail(request, err)
            return False
        return True

    def _answer(self, requests: Sequence[Request]) -> None:
        try:
            batch = self._through_stages(requests)
        except Exception as err:  # noqa: BLE001  (it is handed on)
            open_requests = [request for request in requests if not request.promise.done()]
            if len(requests) == 1:
                _fail(requests[0], err)
                return
            logger.info("%d requests together failed, each is computed alone: %s", len(requests), err)
            for request in open_requests:
                self._answer([request])
        else:
            if batch.open.size:
                self._way_up.ask(batch)

    def _through_stages(self, requests: Sequence[Request]) -> Batch:
        """Run the stages until no sample is open, and return what is left for the tier above."""
        for request in requests:
            request.builder = AnswerBuilder(request.samples, self._axes, self._version)
            request.builder.queue_ms[self.stages[-1].tier] = request.queued_s * 1e3
        batch = Batch.of(requests, self.incoming, self._specs)
        queued_s = tuple(request.queued_s for request in requests)
        for stage in self.stages:
            samples = batch.open.size
            result = stage.run(batch.tensors)
            if stage.segment is not None:
                self._tell(stage.segment.name, samples, queued_s, result.compute_ms)
            batch.advance(stage, result)
            if not batch.open.size:
                break
            queued_s = (0.0,) * len(batch.waiting())  # before the next stage of this same run nobody waits
        return batch

    def _tell(self, segment: str, samples: int, queued_s: tuple[float, ...], compute_ms: float) -> None:
        run = SegmentRun(segment, self._plan, self._version, samples, len(queued_s), queued_s, compute_ms / 1e3)
        self._events.segment_run(run)


def _fail(request: Request, error: Exception) -> None:
    if not isinstance(error, SplitNetError):
        logger.error("a request failed", exc_info=error, extra={"request_id": request.id})
    request.promise.set_exception(error)


def _zeros(spec: TensorSpec, samples: int) -> Array:
    return np.zeros([size if isinstance(size, int) else samples for size in spec.shape], spec.dtype)
