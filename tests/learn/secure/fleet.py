"""Devices and a server that pass each other's bytes on in one process: whole rounds for the tests."""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from numpy.typing import NDArray

from splitnet.learn.secure import (
    Contribution,
    DevicePolicy,
    DeviceRound,
    Encoding,
    Leg,
    Metric,
    Opened,
    Party,
    RoundContext,
    RoundRules,
    ServerRound,
)
from splitnet.learn.secure.ring import Ring

CONTEXT = RoundContext("run", 3, 0, "north", b"m" * 32, b"c" * 32)
PARAMETERS = 40
LOSS = Metric("loss", 0.0, 10.0)
RULES = RoundRules()
POLICY = DevicePolicy()


class MemoryJournal:
    """A journal without a disk."""

    def __init__(self) -> None:
        self.claimed: set[str] = set()

    def claim(self, key: str) -> bool:
        new = key not in self.claimed
        self.claimed.add(key)
        return new


def seeded(seed: str) -> Callable[[int], bytes]:
    """Return random bytes that a seed decides."""
    calls = 0

    def random(size_bytes: int) -> bytes:
        nonlocal calls
        calls += 1
        return hashlib.shake_256(f"{seed} {calls}".encode()).digest(size_bytes)

    return random


def encoding_of(devices: int, parameters: int = PARAMETERS) -> Encoding:
    return Encoding.plan(parameters=parameters, devices=devices, clip=1.0, most_weight=100, metrics=(LOSS,))


def contribution(seed: int, parameters: int = PARAMETERS) -> Contribution:
    rng = np.random.default_rng(seed)
    delta = rng.normal(size=parameters).astype(np.float32)
    delta *= np.float32(0.9 / np.linalg.norm(delta))
    return Contribution(delta, int(rng.integers(1, 101)), {"loss": float(rng.uniform(0, 10))})


@dataclass
class Fleet:
    """Devices with identities, and what they contribute."""

    parties: dict[str, Party]
    contributions: dict[str, Contribution]
    encoding: Encoding
    rules: RoundRules = RULES
    context: RoundContext = CONTEXT

    @property
    def ids(self) -> list[str]:
        return sorted(self.parties)

    @property
    def pinned(self) -> Mapping[str, bytes]:
        return next(iter(self.parties.values())).pinned

    def server(self) -> ServerRound:
        return ServerRound(self.context, self.rules, self.encoding, self.pinned)

    def begin(self, device: str) -> tuple[DeviceRound, bytes]:
        return DeviceRound.begin(self.parties[device], self.context, self.rules, self.encoding)

    def plain_sum(self, devices: Collection[str]) -> NDArray[np.float64]:
        given = (self.contributions[each] for each in devices)
        return sum((each.weight * each.delta.astype(np.float64) for each in given), np.zeros(1))


def fleet(count: int, *, seed: int = 0, policy: DevicePolicy = POLICY, **changes: object) -> Fleet:
    """Return `count` devices; what is random about them depends on `seed` alone."""
    keys: dict[str, Ed25519PrivateKey] = {}
    for number in range(count):
        key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(f"{seed} {number}".encode()).digest())
        keys[hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]] = key
    pinned = {device: key.public_key().public_bytes_raw() for device, key in keys.items()}
    parties = {
        device: Party(device, key.sign, pinned, MemoryJournal(), policy, seeded(f"{seed} {device}"))
        for device, key in keys.items()
    }
    given = {device: contribution(number) for number, device in enumerate(sorted(keys))}
    return replace(Fleet(parties, given, encoding_of(max(count, 2))), **changes)  # type: ignore[arg-type]  # fields


@dataclass
class Run:
    """A round under way: every message is kept, as a server that records would.

    Attributes:
        fleet: who.
        dies: devices by the leg whose message they no longer send.
        server: its side.
        devices: theirs; each goes through bytes between legs.
        inbox: what the server sent last, by device.
        sent: what the server received, by leg and device.
        vectors: the masked vectors, by device.
        told: what the server sent, by leg that it asks for, and device.
    """

    fleet: Fleet
    dies: Mapping[Leg, Collection[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.server = self.fleet.server()
        self.devices: dict[str, DeviceRound] = {}
        self.inbox: dict[str, bytes] = {}
        self.sent: dict[Leg, dict[str, bytes]] = {}
        self.vectors: dict[str, Ring] = {}
        self.told: dict[Leg, dict[str, bytes]] = {}

    def leg(self) -> None:
        """Let every device that lives answer the current leg."""
        leg = self.server.leg
        dying = {device for each, devices in self.dies.items() if each <= leg for device in devices}
        self.sent[leg] = {}
        self.told[leg] = dict(self.inbox)
        asked = self.fleet.ids if leg is Leg.ADVERTISE else list(self.inbox)
        for device in asked:
            if device not in dying:
                self.sent[leg][device] = message = self.answer(leg, device)
                assert self.server.receive(device, message, self.vectors.get(device)) is None

    def answer(self, leg: Leg, device: str) -> bytes:
        """Return a device's message for a leg, as if its process were new."""
        if leg is Leg.ADVERTISE:
            self.devices[device], message = self.fleet.begin(device)
            return message
        fleet, told = self.fleet, self.inbox[device]
        state = self.devices[device].to_bytes()
        party = fleet.parties[device]
        mine = DeviceRound.from_bytes(state, party, fleet.context, fleet.rules, fleet.encoding)
        self.devices[device] = mine
        if leg is Leg.MASKED:
            message, self.vectors[device] = mine.mask(told, fleet.contributions[device])
            return message
        step = {Leg.SHARES: mine.share, Leg.CONFIRM: mine.confirm, Leg.UNMASK: mine.unmask}[leg]
        return step(told)

    def to(self, leg: Leg) -> "Run":
        """Go on until the server waits for the messages of `leg`, which nobody has sent yet."""
        while self.server.leg is not leg:
            self.leg()
            self.inbox = self.server.advance()
        return self

    def finish(self, *, threads: int = 1) -> Opened:
        self.to(Leg.UNMASK).leg()
        return self.server.open(threads=threads)
