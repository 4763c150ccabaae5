"""The end of a session: nothing that was asked stays open, nobody waits for it long, and no model is left."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from splitnet.config import format_address
from splitnet.emulate import BlackHole, LinkShape, ShapedLink
from splitnet.errors import UnavailableError
from splitnet_device import Session
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import TIMEOUT_S
from tests.release.versions import other_weights
from tests.runtime.garbage import uncollected
from tests.tier.test_freed import left, models

#: A deadline that no test waits for.
LONG_MS = 600_000.0
#: Much less than that, and more than closing may take on a busy machine.
SOON_S = 20.0


@pytest.fixture
def cut_off(service: Service, packages: Packages) -> Iterator[Session]:
    """A session whose edge takes what is sent and answers nothing more."""
    with (
        ShapedLink(service.edge.address, LinkShape()) as link,
        Session(packages.split, upstream=format_address(link.address), deadline_ms=LONG_MS) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        link.inject(BlackHole())
        yield session


def closing_s(session: Session) -> float:
    start_s = time.monotonic()
    session.close(grace_s=0.5)
    return time.monotonic() - start_s


def test_what_is_nearly_answered_is_answered(service: Service, packages: Packages, samples: Samples) -> None:
    with Session(packages.split, upstream=service.edge.target, deadline_ms=LONG_MS) as session:
        assert session.wait_for_link(TIMEOUT_S)
        futures = [session.submit(samples.at("cloud")) for _ in range(3)]
    assert not wait(futures, 0).not_done
    assert [future.result().exits for future in futures] == [("cloud",)] * 3
    assert not any(future.result().fallback for future in futures)


def test_the_exit_in_hand_answers_for_a_tier_that_does_not(cut_off: Session, samples: Samples) -> None:
    futures = [cut_off.submit(samples.at("cloud")) for _ in range(3)]
    assert closing_s(cut_off) < SOON_S
    assert not wait(futures, 0).not_done
    assert [future.result().exits for future in futures] == [("device",)] * 3
    assert [future.result().fallbacks for future in futures] == [("UNAVAILABLE",)] * 3


def test_what_has_nothing_in_hand_ends_with_an_error(packages: Packages, samples: Samples) -> None:
    """What is computing may end, but all that waits behind it would take minutes."""
    session = Session(packages.all_device, emulated_speed=0.0005, deadline_ms=LONG_MS)
    futures = [session.submit(samples.x) for _ in range(200)]
    assert closing_s(session) < SOON_S
    assert not wait(futures, 0).not_done
    assert isinstance(futures[-1].exception(), UnavailableError)


def test_a_closed_session_says_so_and_still_tells_what_it_was(packages: Packages, samples: Samples) -> None:
    session = Session(packages.split)
    manifest, plan = session.manifest, session.plan
    session.infer(samples.x)
    session.close()
    for asked in (session.infer, session.submit):
        with pytest.raises(UnavailableError, match="the session is closed"):
            asked(samples.x)
    with pytest.raises(UnavailableError, match="the session is closed"):
        session.load(packages.u8)
    assert (session.manifest, session.plan, session.version) == (manifest, plan, 1)
    assert session.emulated_speed is None
    assert not session.connected
    assert not session.wait_for_link(0)


def test_it_is_closed_once_by_whichever_threads(cut_off: Session, samples: Samples) -> None:
    future = cut_off.submit(samples.at("cloud"))
    before = threading.active_count()
    with ThreadPoolExecutor(4) as closers:
        ended = [closers.submit(closing_s, cut_off) for _ in range(4)]
        assert max(each.result(SOON_S) for each in ended) < SOON_S
    assert future.result().exits == ("device",)
    assert closing_s(cut_off) < 1.0
    assert threading.active_count() < before


def test_a_callback_may_close_it(cut_off: Session, samples: Samples) -> None:
    """The one at a deadline, on the thread of the clock, which closing ends."""
    closed = threading.Event()

    def close(_: object) -> None:
        cut_off.close()
        closed.set()

    cut_off.submit(samples.at("cloud"), deadline_ms=300).add_done_callback(close)
    assert closed.wait(SOON_S)
    with pytest.raises(UnavailableError, match="the session is closed"):
        cut_off.infer(samples.x)
    assert closing_s(cut_off) < 1.0


def test_what_comes_while_it_closes_is_refused_or_answered(packages: Packages, samples: Samples) -> None:
    session, begun = Session(packages.all_device), threading.Event()

    def ask() -> None:
        while True:
            session.infer(samples.x)
            begun.set()

    with ThreadPoolExecutor(2) as callers:
        asking = [callers.submit(ask) for _ in range(2)]
        assert begun.wait(TIMEOUT_S)
        session.close()
        assert {type(each.exception(TIMEOUT_S)) for each in asking} == {UnavailableError}


@pytest.mark.parametrize("name", ["all_device", "split"])
def test_models_are_freed_at_once_whoever_keeps_the_session(
    name: str, packages: Packages, samples: Samples
) -> None:
    with uncollected():
        before = models()
        session = Session(getattr(packages, name))
        own = models() - before
        assert len(own) == 1
        future = session.submit(samples.x)
        session.close()
        assert left(own) == 0
        assert len(future.result().exits) == len(samples.x)


def test_a_version_that_is_loaded_meanwhile_is_freed(packages: Packages, tmp_path: Path, samples: Samples) -> None:
    two = other_weights(packages.all_device, tmp_path / "two.split", version=2)
    with uncollected():
        before = models()
        session = Session(packages.all_device)
        session.load(two)
        assert session.infer(samples.x).version == 2
        own = models() - before
        session.close()
        assert left(own) == 0
        assert session.version == 2
