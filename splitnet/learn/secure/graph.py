"""Graph: who shares masks with whom, and which sets of survivors a sum may be opened for.

Up to 50 devices everyone does. Above, as in Bell et al. 2020 (CCS, "Secure Single-Server Aggregation with
(Poly)Logarithmic Overhead"), the devices stand on a ring in random order and each is a neighbour of the `half`
before and the `half` behind it, a Harary graph. Any two devices of the ring that are at most `half` apart are
neighbours, so survivors stay connected where every window of `half` consecutive places holds an honest one:
devices check that more than half of every window survives, and `half` is such that no window is more than half
corrupted, but with small probability.
"""

import hashlib
import math
from collections.abc import Collection, Mapping
from functools import cached_property, lru_cache

import numpy as np

from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.rules import RoundRules
from splitnet.learn.secure.wire import table

COMPLETE_UP_TO = 50
#: Share of the devices that may collude with the server, and share that may drop out, for which `half` is made.
CORRUPTED = 0.1
DROPPED = 0.2
#: Failure probability of privacy for one order of the ring, as a power of two. The server chooses who is in the
#: round once it has seen all keys: 2^24 tries at a better order leave 2^-40. The server says `neighbours` too, so
#: no lower bound is accepted of these.
FAILURE_BITS = 64
#: The same of more than half of a window dropping out by chance, which only costs the round.
LOST_BITS = 20


class Graph:
    """The neighbours of every device of a round.

    Args:
        context: which sum.
        devices: digest of each device's signed advertisement, 32 bytes, by id.
        rules: threshold and number of neighbours.

    Attributes:
        devices: as given.
        threshold: devices that must survive; more than half of them.

    Raises:
        RefusalError: `rules.neighbours` is too few for this many devices (neighbourhood).
    """

    def __init__(self, context: RoundContext, devices: Mapping[str, bytes], rules: RoundRules) -> None:
        self.devices = dict(sorted(devices.items()))
        self.threshold = rules.survivors_needed(len(devices))
        self.roster_digest = hashlib.sha256(context.info("roster", *_NOBODY) + table(devices)).digest()
        self._half = _half(len(devices), rules.neighbours)

    @property
    def complete(self) -> bool:
        """Whether everyone is a neighbour of everyone."""
        return self._half == 0

    @cached_property
    def _order(self) -> list[str]:
        """The ring, in an order that all keys of the round decide."""
        key = {each: hashlib.sha256(self.roster_digest + bytes.fromhex(each)).digest() for each in self.devices}
        return sorted(self.devices, key=key.__getitem__)

    @cached_property
    def _places(self) -> dict[str, int]:
        return {device: place for place, device in enumerate(self._order)}

    def neighbours(self, device: str) -> tuple[str, ...]:
        """Return the neighbours of a device, by ascending id."""
        if self.complete:
            return tuple(each for each in self.devices if each != device)
        place, count = self._places[device], len(self._order)
        steps = (step for step in range(-self._half, self._half + 1) if step)
        return tuple(sorted(self._order[(place + step) % count] for step in steps))

    def holders(self, device: str) -> tuple[str, ...]:
        """Return who holds shares of a device's secrets, itself too; the share at x = 1 is the first's."""
        return tuple(sorted((*self.neighbours(device), device)))

    @property
    def share_threshold(self) -> int:
        """How many holders give a secret back; more than half of them."""
        return self.threshold if self.complete else self._half + 1

    def check_alive(self, alive: Collection[str]) -> None:
        """Check that a sum may be opened for those who are left.

        Raises:
            RefusalError: they are fewer than `threshold` (too-few-survivors), or too few of some neighbourhood are
                left (neighbourhood), so that part of the sum could be told apart, or not be opened.
        """
        count = len(self.devices)
        if len(alive) < self.threshold:
            raise refusal(
                Reason.TOO_FEW_SURVIVORS,
                f"{len(alive)} of {count} devices are left: {self.threshold} are needed",
            )
        if self.complete:
            return
        left = np.array([device in alive for device in self._order], dtype=np.int64)
        total = np.concatenate(([0], np.cumsum(np.concatenate((left, left[: self._half])))))
        fewest = int((total[self._half :] - total[: -self._half])[:count].min())
        if 2 * fewest <= self._half:
            raise refusal(
                Reason.NEIGHBOURHOOD,
                f"{fewest} of {self._half} consecutive devices of the ring are left: more than half are needed",
            )


_NOBODY = ("00" * 8, "00" * 8)


def neighbours_needed(devices: int) -> int:
    """Return the degree of the graph of a round, `devices` - 1 where it is complete."""
    half = _half(devices, 0)
    return 2 * half if half else devices - 1


def _half(devices: int, neighbours: int) -> int:
    """Return half of the degree, 0 for a complete graph."""
    # Few devices are safe from a third of them only if all are neighbours: a ring is made for a tenth.
    if devices <= COMPLETE_UP_TO:
        return 0
    if neighbours == 0:
        return _least_half(devices)
    half = (neighbours + 1) // 2
    if 2 * half >= devices - 1:
        return 0
    bits = _failure_bits(devices, math.ceil(CORRUPTED * devices), half, half // 2 + 1)
    if bits < FAILURE_BITS:
        raise refusal(
            Reason.NEIGHBOURHOOD,
            f"{neighbours} neighbours in a round of {devices} devices: a failure probability of 2^-{bits:.0f}, "
            f"at most 2^-{FAILURE_BITS} is accepted; set neighbours to 0",
        )
    return half


@lru_cache(maxsize=64)
def _least_half(devices: int) -> int:
    corrupted, dropped = (math.ceil(share * devices) for share in (CORRUPTED, DROPPED))
    for half in range(1, (devices - 1) // 2):
        # A window is lost to an attacker with more than half of it corrupted, and to chance with half of it gone.
        private = _failure_bits(devices, corrupted, half, half // 2 + 1) >= FAILURE_BITS
        if private and _failure_bits(devices, dropped, half, half - half // 2) >= LOST_BITS:
            return half
    return 0


def _failure_bits(devices: int, bad: int, window: int, least: int) -> float:
    """Return -log2 of a bound on the probability that some window of the ring holds `least` bad devices."""
    worst = range(least, min(window, bad) + 1)
    ways = sum(math.comb(bad, each) * math.comb(devices - bad, window - each) for each in worst)
    if ways == 0:
        return math.inf
    return math.log2(math.comb(devices, window)) - math.log2(ways) - math.log2(devices)
