"""What the models of a tier have done since it started, counted from its events."""

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from splitnet.protocol import Duration, ModelStatistics
from splitnet.telemetry import Events, RequestEnd, SegmentRun

# Versions come and go while a tier runs; the counts of the oldest go when there are so many.
_MOST_KEPT = 256

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


@dataclass(slots=True)
class _Sum:
    count: int = 0
    seconds: float = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        self.count += count
        self.seconds += seconds

    def total(self) -> Duration:
        return Duration(self.count, round(self.seconds * 1e9))


@dataclass(slots=True)
class _Requests:
    """The requests of one version of a model."""

    plan: str = ""
    samples: int = 0
    last_ms: int = 0
    success: _Sum = field(default_factory=_Sum)
    fail: _Sum = field(default_factory=_Sum)


@dataclass(slots=True)
class _Runs:
    """The runs of the segments of one version of a plan."""

    queue: _Sum = field(default_factory=_Sum)
    compute: _Sum = field(default_factory=_Sum)
    batches: dict[int, _Sum] = field(default_factory=dict)


class Statistics(Events):
    """Counts for ModelStatistics.

    Requests are counted by model. Runs are those of the plan behind the model, whichever model they were for: NAME
    and NAME.TIER share their segments and their batches.
    """

    def __init__(self) -> None:
        self._requests: dict[tuple[str, int], _Requests] = {}
        self._runs: dict[tuple[str, int], _Runs] = {}
        self._lock = threading.Lock()

    def request_end(self, end: RequestEnd) -> None:
        """Count a request of a model that is there."""
        if not end.model or not end.version:
            return
        with self._lock:
            key = end.model, end.version
            requests = self._requests.get(key) or _begun(self._requests, key, _Requests())
            requests.last_ms = int(time.time() * 1e3)
            requests.plan = end.plan or requests.plan
            if end.status == "OK":
                requests.samples += end.samples
                requests.success.add(end.seconds)
            else:
                requests.fail.add(end.seconds)

    def segment_run(self, run: SegmentRun) -> None:
        """Count a run."""
        with self._lock:
            key = run.plan, run.version
            runs = self._runs.get(key) or _begun(self._runs, key, _Runs())
            runs.queue.add(sum(run.queue_s), len(run.queue_s))
            runs.compute.add(run.compute_s * run.requests, run.requests)
            batches = runs.batches.get(run.samples) or runs.batches.setdefault(run.samples, _Sum())
            batches.add(run.compute_s)

    def of(self, name: str, version: str) -> ModelStatistics:
        """Return the counts of one version of a model; all are 0 where it was never asked."""
        with self._lock:
            requests = self._requests.get((name, int(version)), _Requests())
            runs = self._runs.get((requests.plan, int(version)), _Runs())
            return ModelStatistics(
                name,
                version,
                last_inference_ms=requests.last_ms,
                inference_count=requests.samples,
                execution_count=sum(batch.count for batch in runs.batches.values()),
                success=requests.success.total(),
                fail=requests.fail.total(),
                queue=runs.queue.total(),
                compute_infer=runs.compute.total(),
                batches={size: batch.total() for size, batch in runs.batches.items()},
            )


def _begun(counts: dict[_Key, _Value], key: _Key, fresh: _Value) -> _Value:
    """Return `fresh`, which is counted in from now on."""
    if len(counts) >= _MOST_KEPT:
        del counts[next(iter(counts))]
    counts[key] = fresh
    return fresh
