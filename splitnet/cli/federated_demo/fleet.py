"""The fleet as it serves: one session a device, each with a store of its own, all over one emulated link."""

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from splitnet.cli.federated_demo.tiles import DeviceTiles, FleetTiles, Half
from splitnet.emulate.lab import LINKS, Lab
from splitnet.errors import DeadlineExceededError, SplitNetError
from splitnet.runtime import Answer
from splitnet_device import Session
from splitnet_device.program import Run

_CONNECT_S = 10.0
_DEADLINE_MS = 10_000.0
_IN_FLIGHT = 8
_ANSWERS_S = 60.0


@dataclass(frozen=True, slots=True)
class Served:
    """What serving one half came to, over all devices.

    Attributes:
        tiles: how many were served.
        right: how many of them were answered with their label.
        forwarded: how many had to go up.
        errors: how many got no answer.
        bytes_per_sample: on the devices' link, both ways, framing included, by tile served.
    """

    tiles: int
    right: int
    forwarded: int
    errors: int
    bytes_per_sample: float


@dataclass(slots=True)
class SwapLoad:
    """What was asked of the fleet while it changed versions.

    Attributes:
        answers: how many there were, by the version that answered.
        errors: requests without an answer.
        fallbacks: answers that a shallower exit gave in place of a tier above.
    """

    answers: dict[int, int] = field(default_factory=dict)
    errors: int = 0
    fallbacks: int = 0


class Fleet:
    """The sessions of all devices."""

    def __init__(self, tiles: FleetTiles, package: Path, stores: Mapping[str, Path], lab: Lab) -> None:
        """Remember what to open: `stores` holds each device's database, by the device's name."""
        self._tiles = tiles
        self._package = package
        self._stores = stores
        self._lab = lab
        self._stack = ExitStack()
        self._sessions: dict[str, Session] = {}

    def __enter__(self) -> Self:
        """Open a session for each device, and wait for its link.

        Raises:
            SplitNetError: the package or a store cannot be used.
        """
        with ExitStack() as opening:
            for device in self._tiles.devices:
                session = Session(
                    self._package,
                    upstream=self._lab.upstream,
                    deadline_ms=_DEADLINE_MS,
                    store=self._stores[device.name],
                )
                self._sessions[device.name] = opening.enter_context(session)
                session.wait_for_link(_CONNECT_S)
            self._stack = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def serve(self, half: Half) -> Served:
        """Let every device serve its tiles of that half, all at a time."""
        before = self._lab.link_bytes()[LINKS[0]]
        with ThreadPoolExecutor(len(self._tiles.devices)) as threads:
            runs = list(threads.map(lambda device: self._serve(device, half), self._tiles.devices))
        sent = self._lab.link_bytes()[LINKS[0]] - before
        tiles = sum(len(device.halves[half]) for device in self._tiles.devices)
        return Served(
            tiles=tiles,
            right=sum(right for right, _ in runs),
            forwarded=sum(sum(map(_went_up, answers)) for _, answers in runs),
            errors=sum(answers.count(None) for _, answers in runs),
            bytes_per_sample=sent / tiles,
        )

    def _serve(self, device: DeviceTiles, half: Half) -> tuple[int, list[Answer | None]]:
        """Return how many tiles were answered with their label, and the answers."""
        samples = self._tiles.of(device, half)
        run = Run(self._sessions[device.name], samples, _IN_FLIGHT, lambda _outcome: None)
        report = run.execute()
        return round((report.accuracy or 0.0) * samples.count), run.answers

    def load(self, package: Path) -> None:
        """Let every device go on with another version (see `Session.load`)."""
        for session in self._sessions.values():
            session.load(package)

    def under_load(self, half: Half) -> "Load":
        """Return a load that, while it is entered, has every device serve its tiles of that half over and over."""
        return Load([(self._sessions[device.name], self._tiles, device) for device in self._tiles.devices], half)


class Load:
    """Requests without end from every device, one in flight each."""

    def __init__(self, devices: Sequence[tuple[Session, FleetTiles, DeviceTiles]], half: Half) -> None:
        self._devices = devices
        self._half: Half = half
        self._ended = threading.Event()
        self._changed = threading.Condition()
        self._answered = 0
        self._threads: list[threading.Thread] = []
        self.seen = SwapLoad()

    def __enter__(self) -> Self:
        for session, tiles, device in self._devices:
            thread = threading.Thread(target=self._ask, args=(session, tiles, device), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def wait_for_answers(self, count: int = 20) -> None:
        """Wait until every device has had so many more answers.

        Raises:
            DeadlineExceededError: they take longer than a minute.
        """
        with self._changed:
            wanted = self._answered + count * len(self._devices)
            if not self._changed.wait_for(lambda: self._answered >= wanted, _ANSWERS_S):
                raise DeadlineExceededError(
                    f"{len(self._devices)} devices under load: no answers for {_ANSWERS_S:.0f} s"
                )

    def _ask(self, session: Session, tiles: FleetTiles, device: DeviceTiles) -> None:
        samples, index = tiles.of(device, self._half), 0
        while not self._ended.is_set():
            try:
                answer = session.infer(samples.take([index]))
            except SplitNetError:
                answer = None
            self._note(answer)
            index += 1

    def _note(self, answer: Answer | None) -> None:
        with self._changed:
            if answer is None:
                self.seen.errors += 1
            else:
                self.seen.answers[answer.version] = self.seen.answers.get(answer.version, 0) + 1
                self.seen.fallbacks += answer.fallback
            self._answered += 1
            self._changed.notify_all()


def _went_up(answer: Answer | None) -> bool:
    return answer is None or answer.exits[0] != "device" or answer.fallback
