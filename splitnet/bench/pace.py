"""Pace: how fast a system answers, roughly, from which LoadGen computes how many queries to prepare."""

import threading
import time
from concurrent.futures import wait
from dataclasses import dataclass

import numpy as np

from splitnet.bench.load import Load
from splitnet.bench.system import Submit, System, started
from splitnet.bench.tally import Tally

# A system may answer some samples at once and others after a long way: draw a few before naming the fastest.
_MOST_SINGLES = 32
_SINGLES_S = 0.5
_RATE_S = 0.5
_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Pace:
    """What the warm-up saw.

    Attributes:
        latency_s: the fastest answer with nothing else under way, seconds.
        rate: answers a second with `in_flight` under way; None where nobody needs it.
    """

    latency_s: float
    rate: float | None


@dataclass(frozen=True, slots=True)
class _Drawn:
    id: int
    index: int


def measure_pace(submit: Submit, load: Load) -> Pace:
    """Warm a system and its links, and see how fast it answers.

    Raises:
        SplitNetError: the very first sample gets no answer.
    """
    rng = np.random.default_rng(load.seed)
    submit(int(rng.integers(load.samples))).result(_LIMIT_S)
    fastest_s = float("inf")
    start_s = time.perf_counter()
    for index in rng.integers(load.samples, size=_MOST_SINGLES).tolist():
        began_s = time.perf_counter()
        wait([started(submit, index)], _LIMIT_S)
        fastest_s = min(fastest_s, time.perf_counter() - began_s)
        if time.perf_counter() - start_s > _SINGLES_S:
            break
    needs_rate = load.scenario == "offline" and load.target_qps is None and not load.accuracy
    return Pace(fastest_s, _rate(submit, load, rng) if needs_rate else None)


def _rate(submit: Submit, load: Load, rng: np.random.Generator) -> float:
    tally, ended = Tally(), threading.Semaphore(0)
    system = System(submit, load.in_flight, tally, lambda _query: ended.release())
    sent, start_s = 0, time.perf_counter()
    while time.perf_counter() - start_s < _RATE_S:
        system.issue([_Drawn(sent, int(rng.integers(load.samples)))])
        sent += 1
    for _ in range(sent):
        ended.acquire(timeout=_LIMIT_S)
    return sent / tally.seconds
