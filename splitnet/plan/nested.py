"""The exact solver for chains: every nested choice of two cuts, their codecs and two exits, by running minima.

For one pair of exits the expected latency is f(w1) + g(w2) with w1 <= w2, where f holds what depends on the first
wire and g what depends on the second. The best w1 for every w2 is then a running minimum of f, so a pair costs
O(K) and the whole O(K * codecs + K * exits^2).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.plan.latency import elapsed_ms, evaluate, transfer_ms
from splitnet.plan.problem import Placement, Problem, Wire

__all__ = ["best_split", "evaluate", "solve", "unsplit"]

_Floats = NDArray[np.float64]

#: Candidates this close to the best, relatively, count as equal: room for sums made in another order.
_TIE = 1e-12


def solve(problem: Problem) -> Placement:
    """Return the placement of least expected latency.

    Where several are equal, the one with fewer tiers, then with fewer exits, is returned.
    """
    best = _best(problem, _candidates(problem, split_only=False))
    assert best is not None  # all-device is always a candidate
    return best


def best_split(problem: Problem) -> Placement | None:
    """Return the best placement in which at least two tiers compute something, or None where there is none.

    A tier computes something when it runs at least one step or an exit head.
    """
    return _best(problem, _candidates(problem, split_only=True))


def unsplit(problem: Problem) -> dict[str, Placement]:
    """Return what not splitting costs: "all-device", "all-edge" and "all-cloud", each with its best codecs.

    They have no exits, whatever `exit_on_device_required` says: they are what a split is compared with. The last
    two are left out where the input (position 0) cannot be sent.
    """
    codecs = [wire.codec for wire in problem.wires[0]]
    choices = {"all-device": [evaluate(problem, 0, (), ())]}
    choices["all-edge"] = [evaluate(problem, 1, ((0, codec),), (None,)) for codec in codecs]
    choices["all-cloud"] = [
        evaluate(problem, 2, ((0, lower), (0, upper)), (None, None)) for lower in codecs for upper in codecs
    ]
    return {name: min(some, key=lambda one: one.predicted_ms) for name, some in choices.items() if some}


@dataclass(frozen=True, slots=True)
class _Candidate:
    """The best choice of wires for one last tier and one choice of exits; `ms` is close to its exact cost."""

    ms: float
    last: int
    wires: tuple[tuple[int, str], ...]
    exits: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class _Sending:
    """The cheapest way to send each of the K positions: its time in ms (infinite: none) and its codec."""

    ms: _Floats
    codecs: tuple[str, ...]

    def wire(self, position: int) -> tuple[int, str]:
        return position, self.codecs[position]


class _Chain:
    """What does not depend on the exits, worked out once: times to reach and to send each position."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.elapsed = elapsed_ms(problem)
        self.positions = np.arange(problem.steps)
        self.first = self._cheapest(lambda wire: self._codec_ms(wire, 0, 1) + self._transfer_ms(wire, 0))
        self.second = self._cheapest(lambda wire: self._codec_ms(wire, 1, 2) + self._transfer_ms(wire, 1))
        self.relay = self._cheapest(
            lambda wire: self._codec_ms(wire, 0, 2) + self._transfer_ms(wire, 0) + self._transfer_ms(wire, 1)
        )

    def run_ms(self, tier: int, index: int | None, *, reach: float) -> _Floats:
        """Weighted time of `tier` from the input to each wire position, or to its exit, and through the head."""
        speed = self.problem.speeds[tier]
        if index is None:
            return reach * self.elapsed[:-1] / speed
        point = self.problem.exits[index]
        depths = np.maximum(self.positions, point.position)
        return reach * (self.elapsed[depths] + point.cost_ms) / speed

    def rest_ms(self, tier: int) -> _Floats:
        """Time of `tier` from each position to the end of the model."""
        rest: _Floats = (self.elapsed[-1] - self.elapsed[:-1]) / self.problem.speeds[tier]
        return rest

    def _codec_ms(self, wire: Wire, sender: int, receiver: int) -> float:
        return wire.encode_ms / self.problem.speeds[sender] + wire.decode_ms / self.problem.speeds[receiver]

    def _transfer_ms(self, wire: Wire, link: int) -> float:
        return transfer_ms(self.problem.links[link], wire.nbytes, self.problem.answer_nbytes)

    def _cheapest(self, cost: Callable[[Wire], float]) -> _Sending:
        ms, codecs = [], []
        for wires in self.problem.wires[:-1]:
            best, codec = np.inf, ""
            for wire in wires:
                if (ours := cost(wire)) < best:
                    best, codec = ours, wire.codec
            ms.append(best)
            codecs.append(codec)
        return _Sending(np.array(ms), tuple(codecs))


def _candidates(problem: Problem, *, split_only: bool) -> Iterator[_Candidate]:
    """Yield the best wires for every last tier and every choice of exits; with `split_only`, true splits alone."""
    chain = _Chain(problem)
    if not split_only:
        yield _Candidate(float(chain.elapsed[-1] / problem.speeds[0]), 0, (), ())
    first_exits: list[int | None] = list(range(len(problem.exits)))
    for a in first_exits if problem.exit_on_device_required else [None, *first_exits]:
        bare = split_only and a is None  # then a cut at the input would leave the device nothing to do
        yield from _to_edge(chain, a, lowest=int(bare))
        yield from _relayed(chain, a, lowest=int(bare))
        depth = -1 if a is None else problem.exits[a].position
        deeper = [b for b, point in enumerate(problem.exits) if point.position > depth]
        for b in [None, *deeper]:
            yield from _to_cloud(chain, a, b, lowest=int(bare and b is None))


def _to_edge(chain: _Chain, a: int | None, *, lowest: int) -> Iterator[_Candidate]:
    """The best plan that ends at the edge with exit `a`, its cut at `lowest` or later."""
    left = chain.problem.surviving((a,))
    total = chain.run_ms(0, a, reach=1.0) + _weighted(left, chain.first.ms, chain.rest_ms(1))
    total[:lowest] = np.inf
    cut = int(np.argmin(total))
    if np.isfinite(total[cut]):
        yield _Candidate(float(total[cut]), 1, (chain.first.wire(cut),), (a,))


def _relayed(chain: _Chain, a: int | None, *, lowest: int) -> Iterator[_Candidate]:
    """The best plan whose edge only passes on what it receives."""
    left = chain.problem.surviving((a,))
    total = chain.run_ms(0, a, reach=1.0) + _weighted(left, chain.relay.ms, chain.rest_ms(2))
    total[:lowest] = np.inf
    cut = int(np.argmin(total))
    if np.isfinite(total[cut]):
        wire = chain.relay.wire(cut)
        yield _Candidate(float(total[cut]), 2, (wire, wire), (a, None))


def _to_cloud(chain: _Chain, a: int | None, b: int | None, *, lowest: int) -> Iterator[_Candidate]:
    """The best plan that ends in the cloud and decodes at the edge, its second cut at `lowest` or later."""
    problem = chain.problem
    left, reach = problem.surviving((a,)), problem.surviving((a, b))
    skipped = -chain.elapsed[:-1] / problem.speeds[1]  # what the edge need not run: it starts at the first cut
    first = chain.run_ms(0, a, reach=1.0) + _weighted(left, chain.first.ms, skipped)
    if b is not None:
        first[problem.exits[b].position + 1 :] = np.inf  # the edge cannot start beyond its own exit
    second = chain.run_ms(1, b, reach=left) + _weighted(reach, chain.second.ms, chain.rest_ms(2))
    second[:lowest] = np.inf
    total = np.minimum.accumulate(first) + second
    upper = int(np.argmin(total))
    if np.isfinite(total[upper]):
        lower = int(np.argmin(first[: upper + 1]))
        yield _Candidate(float(total[upper]), 2, (chain.first.wire(lower), chain.second.wire(upper)), (a, b))


def _weighted(reach: float, sending_ms: _Floats, running_ms: _Floats) -> _Floats:
    """`reach` times the sum; a position that cannot be sent stays infinite even where nothing reaches it."""
    weighted = np.full_like(sending_ms, np.inf)
    np.multiply(reach, sending_ms + running_ms, out=weighted, where=np.isfinite(sending_ms))
    return weighted


def _best(problem: Problem, candidates: Iterator[_Candidate]) -> Placement | None:
    """Evaluate the few candidates that may be the best exactly, and return the simplest of those that are."""
    found = list(candidates)
    if not found:
        return None
    near = min(one.ms for one in found)
    near += 1e-9 * abs(near)
    exact = [evaluate(problem, one.last, one.wires, one.exits) for one in found if one.ms <= near]
    limit = min(one.predicted_ms for one in exact) * (1 + _TIE)
    return min(
        (one for one in exact if one.predicted_ms <= limit),
        key=lambda one: (one.last, sum(index is not None for index in one.exits), one.predicted_ms),
    )
