"""Whatever dies, the device answers in time; and when it comes back, so does the service."""

import math
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Self

from splitnet.config import format_address
from splitnet.emulate import Drop, LinkShape, Refuse, ShapedLink
from splitnet.emulate.ports import reserved_address
from splitnet.errors import DeadlineExceededError
from splitnet_device import Answer, Session
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import TIMEOUT_S, eventually, in_time, running

DEADLINE_MS = 400.0
LONG_MS = TIMEOUT_S * 1e3
#: What the device may add to a deadline; where neighbours are busy, the best of some tries is held to it.
LATE_S = 0.05


def timed(session: Session, samples: Samples, tier: str) -> tuple[Answer, float]:
    start_s = time.monotonic()
    answer = session.infer(samples.at(tier))
    return answer, time.monotonic() - start_s


class Stream:
    """Samples one after the other from a thread, until it is stopped."""

    def __init__(self, session: Session, samples: Samples) -> None:
        self.answers: list[Answer] = []
        self.errors: list[BaseException] = []
        self.longest_s = 0.0
        self._session, self._samples = session, samples
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        index = 0
        while not self._stopped.is_set():
            start_s = time.monotonic()
            try:
                self.answers.append(self._session.infer(self._samples.x[[index % 200]]))
            except BaseException as err:  # noqa: BLE001  (the test looks at it)
                self.errors.append(err)
            self.longest_s = max(self.longest_s, time.monotonic() - start_s)
            index += 1

    def seen(self, *, fallback: bool, after: int = 0) -> bool:
        """Whether an answer after the first `after` came from a fallback, or from above the device."""
        return any(
            a.fallback if fallback else a.exits != ("device",) and not a.fallback for a in self.answers[after:]
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join(TIMEOUT_S)


@contextmanager
def silent() -> Iterator[tuple[str, int]]:
    """An address that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()


def test_nobody_is_there(packages: Packages, samples: Samples) -> None:
    with (
        reserved_address() as address,
        Session(packages.split, upstream=format_address(address), deadline_ms=LONG_MS) as session,
    ):
        took = []
        for _ in range(3):
            answer, seconds = timed(session, samples, "cloud")
            assert (answer.exits, answer.fallbacks) == (("device",), ("UNAVAILABLE",))
            took.append(seconds)
        assert min(took) < DEADLINE_MS / 1e3
        assert max(took) < LONG_MS / 1e3
        answer, _ = timed(session, samples, "device")
        assert (answer.exits, answer.fallbacks) == (("device",), ("",))


@contextmanager
def over_a_black_hole(packages: Packages) -> Iterator[Session]:
    with (
        silent() as target,
        ShapedLink(target, LinkShape(delay_s=0.005)) as link,
        Session(packages.split, upstream=format_address(link.address), deadline_ms=DEADLINE_MS) as session,
    ):
        yield session


def test_the_link_is_a_black_hole(packages: Packages, samples: Samples) -> None:
    def one_s() -> float:
        with over_a_black_hole(packages) as session:
            answer, seconds = timed(session, samples, "cloud")
            assert (answer.exits, answer.fallbacks) == (("device",), ("DEADLINE_EXCEEDED",))
            return seconds

    def hundred_s() -> float:
        with over_a_black_hole(packages) as session:
            futures = [session.submit(samples.at("cloud"), deadline_ms=100) for _ in range(100)]
            start_s = time.monotonic()
            errors = {type(future.exception(TIMEOUT_S)) for future in futures}
            seconds = time.monotonic() - start_s
            # Kept from the processor for 100 ms the device has no answer either, says so, and the try is void.
            assert errors <= {type(None), DeadlineExceededError}
            if errors != {type(None)}:
                return math.inf
            assert {future.result().exits for future in futures} == {("device",)}
            return seconds

    in_time(one_s, DEADLINE_MS / 1e3 + LATE_S)
    in_time(hundred_s, 0.1 + 3 * LATE_S)


def test_a_black_hole_is_not_waited_for_twice(packages: Packages, samples: Samples) -> None:
    with over_a_black_hole(packages) as session:
        # An attempt to connect is given up after a second; from then on nobody is waited for.
        eventually(lambda: session.infer(samples.at("cloud")).fallbacks == ("UNAVAILABLE",))

        def unavailable_s() -> float:
            answer, seconds = timed(session, samples, "cloud")
            assert (answer.exits, answer.fallbacks) == (("device",), ("UNAVAILABLE",))
            return seconds

        in_time(unavailable_s, LATE_S)


def test_the_edge_is_killed_and_comes_back(service: Service, packages: Packages, samples: Samples) -> None:
    with (
        reserved_address() as address,
        running("edge", package=packages.split, upstream=service.cloud.address, listen=address) as edge,
    ):
        session = Session(packages.split, upstream=edge.target, deadline_ms=5 * DEADLINE_MS)
        with session, Stream(session, samples) as stream:
            eventually(lambda: stream.seen(fallback=False))
            edge.process.kill()
            eventually(lambda: stream.seen(fallback=True))
            assert edge.ended() == -signal.SIGKILL
            killed_at = len(stream.answers)
            with running("edge", package=packages.split, upstream=service.cloud.address, listen=edge.address):
                eventually(lambda: stream.seen(fallback=False, after=killed_at))
    assert not stream.errors
    assert stream.longest_s < 5 * DEADLINE_MS / 1e3 + LATE_S
    assert {reason for answer in stream.answers for reason in answer.fallbacks} <= {"", "UNAVAILABLE"}


def test_the_service_returns_soon_after_the_link(service: Service, packages: Packages, samples: Samples) -> None:
    """The link is cut off for longer than pauses between attempts can grow to, and then is there again."""
    with (
        ShapedLink(service.edge.address, LinkShape()) as link,
        Session(packages.split, upstream=format_address(link.address), deadline_ms=LONG_MS) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)

        def return_s() -> float:
            link.inject(Refuse(), Drop())
            eventually(lambda: not session.connected)
            assert session.infer(samples.at("cloud")).fallbacks == ("UNAVAILABLE",)
            time.sleep(2.0)
            link.heal(Refuse())
            start_s = time.monotonic()
            eventually(lambda: session.infer(samples.at("cloud")).exits == ("cloud",))
            return time.monotonic() - start_s

        in_time(return_s, 2.0)


def test_losing_one_of_two_edges_loses_no_request(
    service: Service, packages: Packages, samples: Samples, uncached: Sequence[str]
) -> None:
    with (
        running("edge", package=packages.split, upstream=service.cloud.address, options=uncached) as first,
        running("edge", package=packages.split, upstream=service.cloud.address, options=uncached) as second,
        Session(packages.split, upstream=[first.target, second.target], deadline_ms=LONG_MS) as session,
        ExitStack() as stack,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        streams = [stack.enter_context(Stream(session, samples)) for _ in range(4)]
        eventually(lambda: all(len(stream.answers) > 20 for stream in streams))
        first.process.kill()
        killed_at = [len(stream.answers) for stream in streams]
        eventually(lambda: all(len(s.answers) > at + 50 for s, at in zip(streams, killed_at, strict=True)))
        stack.close()
        assert second.process.poll() is None
    assert not [error for stream in streams for error in stream.errors]
    answers = [answer for stream in streams for answer in stream.answers]
    assert {answer.exits[0] for answer in answers} == {"device", "edge", "cloud"}
    assert not any(answer.fallback for answer in answers)


def test_what_an_edge_has_answered_it_answers_without_its_cloud(packages: Packages, samples: Samples) -> None:
    with (
        running("cloud", package=packages.split) as cloud,
        running("edge", package=packages.split, upstream=cloud.address) as edge,
        Session(packages.split, upstream=edge.target, deadline_ms=LONG_MS) as session,
    ):
        asked, other = samples.at("cloud", 2)
        eventually(lambda: session.infer(asked[None]).exits == ("cloud",))
        cloud.process.kill()
        cloud.ended()
        eventually(lambda: session.infer(other[None]).fallbacks == ("UNAVAILABLE",))
        again = session.infer(asked[None])
        assert (again.exits, again.fallbacks, set(again.timings_ms)) == (("cloud",), ("",), {"device"})


def test_the_edge_is_frozen_and_thawed(
    service: Service, packages: Packages, samples: Samples, uncached: Sequence[str]
) -> None:
    with (
        running("edge", package=packages.split, upstream=service.cloud.address, options=uncached) as edge,
        Session(packages.split, upstream=edge.target, deadline_ms=DEADLINE_MS) as session,
    ):
        eventually(lambda: session.infer(samples.at("cloud")).exits == ("cloud",))
        edge.process.send_signal(signal.SIGSTOP)
        took = []
        for _ in range(3):
            answer, seconds = timed(session, samples, "cloud")
            assert (answer.exits, answer.fallbacks) == (("device",), ("DEADLINE_EXCEEDED",))
            took.append(seconds)
        assert min(took) < DEADLINE_MS / 1e3 + LATE_S
        edge.process.send_signal(signal.SIGCONT)
        eventually(lambda: session.infer(samples.at("cloud")).exits == ("cloud",))


def test_the_cloud_is_killed_and_comes_back(packages: Packages, samples: Samples, uncached: Sequence[str]) -> None:
    with (
        reserved_address() as address,
        running("cloud", package=packages.split, listen=address) as cloud,
        running("edge", package=packages.split, upstream=cloud.address, options=uncached) as edge,
        Session(packages.split, upstream=edge.target, deadline_ms=LONG_MS) as session,
    ):
        eventually(lambda: session.infer(samples.at("cloud")).exits == ("cloud",))
        cloud.process.kill()
        cloud.ended()
        answer = session.infer(samples.x)
        assert answer.exits == tuple("edge" if tier == "cloud" else tier for tier in samples.exits)
        assert answer.fallbacks == tuple("UNAVAILABLE" if tier == "cloud" else "" for tier in samples.exits)
        with running("cloud", package=packages.split, listen=cloud.address):
            eventually(lambda: session.infer(samples.at("cloud")).exits == ("cloud",))


def test_an_edge_without_a_cloud_answers_what_it_can(packages: Packages, samples: Samples) -> None:
    with (
        running("edge", package=packages.split) as edge,
        Session(packages.split, upstream=edge.target, deadline_ms=LONG_MS) as session,
    ):
        answer = session.infer(samples.x)
    assert answer.exits == tuple("edge" if tier == "cloud" else tier for tier in samples.exits)
    assert answer.fallbacks == tuple("UNAVAILABLE" if tier == "cloud" else "" for tier in samples.exits)


def test_the_link_is_too_slow_for_the_deadline(service: Service, packages: Packages, samples: Samples) -> None:
    def ten_s() -> float:
        with (
            ShapedLink(service.edge.address, LinkShape(bandwidth_bps=20_000)) as link,
            Session(packages.split, upstream=format_address(link.address), deadline_ms=DEADLINE_MS) as session,
        ):
            assert session.wait_for_link(TIMEOUT_S)
            start_s = time.monotonic()
            futures = [session.submit(samples.at("edge", 10)) for _ in range(10)]
            for future in futures:
                assert len(future.result(TIMEOUT_S).exits) == 10
            seconds = time.monotonic() - start_s
            assert any(future.result().fallbacks == ("DEADLINE_EXCEEDED",) * 10 for future in futures)
            return seconds

    in_time(ten_s, DEADLINE_MS / 1e3 + LATE_S)
