"""What a round is held to: by its settings, and by each device's own minimum, which no server can lower."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import urandom
from typing import Protocol

from splitnet.errors import InvalidArgumentError
from splitnet.learn.secure.envelope import Sign


@dataclass(frozen=True, slots=True)
class RoundRules:
    """The part of the settings that the secure sum needs, the same on server and devices.

    Attributes:
        threshold: share of the round's devices that must survive, above one half.
        neighbours: devices that each one shares masks with, in a round of more than 50, below which all do; 0 for
            as many as `Graph` finds necessary.
    """

    threshold: float = 2 / 3
    neighbours: int = 0

    def __post_init__(self) -> None:
        if self.neighbours < 0:
            raise InvalidArgumentError(f"neighbours {self.neighbours}: expected 0 or more")

    def survivors_needed(self, devices: int) -> int:
        """Return how many of `devices` must survive: always more than half."""
        # 2/3 of 3 in floating point may be a little above 2.
        return max(math.ceil(self.threshold * devices - 1e-9), devices // 2 + 1)


@dataclass(frozen=True, slots=True)
class DevicePolicy:
    """What a device insists on, from its own configuration.

    Attributes:
        least_peers: other devices in a sum, at least; 1 tells the two of them each other's update.
        least_threshold: the lowest `RoundRules.threshold` that it accepts; one half itself is always refused.
    """

    least_peers: int = 2
    least_threshold: float = 2 / 3

    def __post_init__(self) -> None:
        if self.least_peers < 1:
            raise InvalidArgumentError(f"least_peers {self.least_peers}: expected 1 or more")
        if not 0.5 <= self.least_threshold <= 1:
            raise InvalidArgumentError(f"least_threshold {self.least_threshold}: expected 0.5 to 1")


class Journal(Protocol):
    """What a device did before, on its disk: nothing is answered twice, whatever restarts."""

    def claim(self, key: str) -> bool:
        """Record `key`, of at most 80 characters, and return whether it was new.

        The record is atomic and durable before this returns: of two calls with one key, one returns True, ever.
        """


@dataclass(frozen=True, slots=True)
class Party:
    """A device as the protocol sees it.

    Attributes:
        id: 16 hexadecimal characters.
        sign: returns the Ed25519 signature, 64 bytes, by the device's identity key.
        pinned: raw Ed25519 keys, 32 bytes each, of the cohort's devices by id, from the operator's roster.
        journal: what it did before.
        policy: its minimum.
        random: returns so many bytes; anything but the system's generator is for tests.
    """

    id: str
    sign: Sign
    pinned: Mapping[str, bytes]
    journal: Journal
    policy: DevicePolicy = DevicePolicy()
    random: Callable[[int], bytes] = urandom
