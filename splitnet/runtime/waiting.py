"""A line of jobs that wait: the most urgent first, several taken together, the expired left out."""

import heapq
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from splitnet.config.serving import BatchingConfig
from splitnet.deadline import Deadline

#: The level of a job that names none: level 1 goes before it, 3 and more behind.
NORMAL_PRIORITY = 2

#: Each job by itself.
ALONE = BatchingConfig(max_samples=1)

# How much of the running estimate of a sample's time the newest run makes up.
_NEWEST = 0.2


@dataclass(slots=True, eq=False)
class Job(ABC):
    """Something to compute.

    Attributes:
        samples: in it.
        deadline: until when it is worth something.
        level: of its priority; lower ones go first.
        since_s: when it came, `time.monotonic()` seconds.
        turn: its place among jobs of its level; its executor gives it.
        queued_s: how long it waited, seconds; 0 where it was computed at once by the thread that brought it.
    """

    samples: int
    deadline: Deadline
    level: int
    since_s: float
    turn: int = field(init=False, default=0)
    queued_s: float = field(init=False, default=0.0)

    @abstractmethod
    def compute(self, jobs: Sequence[Any]) -> None:
        """Compute `jobs` of one line together, of which this is the first; must not raise."""

    @abstractmethod
    def expire(self) -> None:
        """End this job, whose deadline passed while it waited."""


J = TypeVar("J", bound=Job)


class Line(Generic[J]):
    """Jobs that can be computed together; not thread-safe: the executor that it is part of guards it."""

    def __init__(self, batching: BatchingConfig = ALONE) -> None:
        """Make an empty line.

        Args:
            batching: how many samples together, and how long the first job waits for others.
        """
        self._most = batching.max_samples
        self._delay_s = batching.max_delay_ms / 1e3
        self._waiting: list[tuple[int, int, J]] = []  # a heap
        self._samples = 0
        self._sample_s = 0.0
        # Of the jobs that wait: the first deadline, and until when the first of them waits for others.
        self._soonest_s = self._patient_s = math.inf

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    @property
    def delays(self) -> bool:
        """Whether a job may be kept waiting for others."""
        return self._delay_s > 0

    @property
    def first(self) -> tuple[int, int]:
        """The level and the turn of the job that is next; there must be one."""
        level, turn, _ = self._waiting[0]
        return level, turn

    def due_s(self) -> float:
        """Return when the next jobs are to be computed, `time.monotonic()` seconds: the past where it is now."""
        if not self._delay_s or self._samples >= self._most:
            return -math.inf
        # Nor longer than leaves time to compute.
        return min(self._patient_s, self._soonest_s - self._samples * self._sample_s)

    def add(self, job: J) -> None:
        """Let `job` wait."""
        heapq.heappush(self._waiting, (job.level, job.turn, job))
        self._samples += job.samples
        self._look_at(job)

    def remove(self, job: J) -> bool:
        """Take `job` out, and return whether it was still waiting."""
        try:
            self._waiting.remove((job.level, job.turn, job))
        except ValueError:
            return False
        heapq.heapify(self._waiting)
        self._left([job])
        return True

    def take(self, now_s: float) -> list[J]:
        """Take out the next job, and those behind it that are to be computed with it; one must wait.

        They are of its level, together no more than `max_samples`, and no more than can be computed before the
        first of their deadlines, going by the runs so far.
        """
        jobs = [heapq.heappop(self._waiting)[2]]
        samples, limit_s = jobs[0].samples, jobs[0].deadline.at_s
        while self._waiting:
            level, _, job = self._waiting[0]
            samples += job.samples
            limit_s = min(limit_s, job.deadline.at_s)
            late = now_s + samples * self._sample_s > limit_s
            if level != jobs[0].level or samples > self._most or late:
                break
            jobs.append(heapq.heappop(self._waiting)[2])
        self._left(jobs)
        return jobs

    def expired(self, now_s: float) -> list[J]:
        """Take out the jobs whose deadlines have passed."""
        if now_s < self._soonest_s:
            return []
        gone = [entry[2] for entry in self._waiting if entry[2].deadline.at_s <= now_s]
        self._waiting = [entry for entry in self._waiting if entry[2].deadline.at_s > now_s]
        heapq.heapify(self._waiting)
        self._samples -= sum(job.samples for job in gone)
        self._look_again()
        return gone

    def note(self, samples: int, seconds: float) -> None:
        """Learn from a run of so many samples that took so long."""
        each_s = seconds / samples
        self._sample_s += _NEWEST * (each_s - self._sample_s) if self._sample_s else each_s

    def _left(self, jobs: Sequence[J]) -> None:
        self._samples -= sum(job.samples for job in jobs)
        if self._delay_s:
            self._look_again()  # else a deadline that is gone only has `expired` look for it in vain, once

    def _look_again(self) -> None:
        self._soonest_s = self._patient_s = math.inf
        for _, _, job in self._waiting:
            self._look_at(job)

    def _look_at(self, job: J) -> None:
        self._soonest_s = min(self._soonest_s, job.deadline.at_s)
        # Nobody waits for others longer than half of its own time.
        patient_s = min(job.since_s + self._delay_s, (job.since_s + job.deadline.at_s) / 2)
        self._patient_s = min(self._patient_s, patient_s)
