"""splitnet_device.Session as a library, against a real edge and a real cloud."""

import math
import queue
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.config import format_address
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.emulate.ports import reserved_address
from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError, OverloadedError, UnavailableError
from splitnet.tensors import Array
from splitnet_device import Answer, Session
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import TIMEOUT_S, Program, eventually, in_time, running

LONG_MS = TIMEOUT_S * 1e3
SLOW = LinkShape(delay_s=0.4)


@pytest.fixture(scope="module")
def session(service: Service, packages: Packages) -> Iterator[Session]:
    with Session(
        packages.split, upstream=service.edge.target, deadline_ms=LONG_MS, window=256, queue_limit=512
    ) as session:
        assert session.wait_for_link(TIMEOUT_S)
        yield session


@pytest.fixture(scope="module")
def far_edge(service: Service, packages: Packages, uncached: Sequence[str]) -> Iterator[Program]:
    """An edge that is 800 ms away from its cloud, there and back."""
    with (
        ShapedLink(service.cloud.address, SLOW) as link,
        running("edge", package=packages.split, upstream=link.address, options=uncached) as edge,
    ):
        yield edge


def check(answer: Answer, samples: Samples, which: Any) -> None:
    assert answer.exits == tuple(np.array(samples.exits)[which].tolist())
    assert answer.fallbacks == ("",) * len(answer.exits)
    assert answer.outputs.keys() == {"y"}
    np.testing.assert_allclose(answer.outputs["y"], samples.y[which], rtol=1e-5, atol=1e-6)


@given(which=st.lists(st.integers(0, 199), min_size=1, max_size=40))
@settings(max_examples=40)
def test_a_batch_is_split_by_the_router_and_merged_in_order(
    session: Session, samples: Samples, which: list[int]
) -> None:
    answer = session.infer(samples.x[which])
    check(answer, samples, which)
    passed = {"device": ["device"], "edge": ["device", "edge"], "cloud": ["device", "edge", "cloud"]}
    furthest = max((samples.exits[index] for index in which), key=list(passed).index)
    # What the edge has answered before, it answers again without computing, or asking the cloud.
    assert set(answer.timings_ms) in ({"device"}, set(passed[furthest]))


def test_many_in_flight_get_each_its_own_answer(session: Session, samples: Samples) -> None:
    futures = [session.submit({"x": samples.x[[index]]}) for index in range(200)]
    for index, future in enumerate(futures):
        check(future.result(TIMEOUT_S), samples, [index])


def test_answers_come_in_the_order_in_which_they_are_ready(
    far_edge: Program, packages: Packages, samples: Samples
) -> None:
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    with Session(packages.split, upstream=far_edge.target, deadline_ms=LONG_MS) as session:
        session.infer(samples.at("cloud"))
        start_s = time.monotonic()
        for tier in ("cloud", "edge", "device"):
            future = session.submit(samples.at(tier))
            future.add_done_callback(lambda done: ended.put(done.result().exits[0]))
        order = [ended.get(timeout=TIMEOUT_S) for _ in range(3)]
        seconds = time.monotonic() - start_s
    assert order[2] == "cloud"
    assert set(order[:2]) == {"device", "edge"}
    assert seconds >= 2 * SLOW.delay_s


def test_each_request_has_its_own_deadline(far_edge: Program, packages: Packages, samples: Samples) -> None:
    with Session(packages.split, upstream=far_edge.target, deadline_ms=LONG_MS) as session:
        session.infer(samples.at("cloud"))

        def hasty_s() -> float:
            patient = session.submit(samples.at("cloud", 2))
            start_s = time.monotonic()
            hasty = session.infer(samples.at("cloud"), deadline_ms=200)
            seconds = time.monotonic() - start_s
            assert not patient.done()
            assert hasty.fallbacks == ("DEADLINE_EXCEEDED",)
            assert patient.result(TIMEOUT_S).exits == ("cloud", "cloud")
            # The edge has 50 ms to answer in; where it is kept from it, the device does, and the try is void.
            return seconds if hasty.exits == ("edge",) else math.inf

        in_time(hasty_s, 0.2 + 0.05)


def test_a_full_window_is_answered_by_the_device(far_edge: Program, packages: Packages, samples: Samples) -> None:
    with Session(packages.split, upstream=far_edge.target, deadline_ms=LONG_MS, window=1, in_flight=1) as session:
        session.infer(samples.at("cloud"))
        first, second = (session.submit(samples.at("cloud")) for _ in range(2))
        assert second.result(TIMEOUT_S).exits == ("device",)
        assert second.result().fallbacks == ("RESOURCE_EXHAUSTED",)
        assert not first.done()
        assert first.result(TIMEOUT_S).exits == ("cloud",)


def test_a_message_larger_than_the_link_takes_is_answered_by_the_device(
    service: Service, packages: Packages, samples: Samples
) -> None:
    limits: dict[str, Any] = {"deadline_ms": LONG_MS, "max_message_bytes": 4096}
    with Session(packages.split, upstream=service.edge.target, **limits) as session:
        large = session.infer(np.repeat(samples.at("edge"), 50, axis=0))
        assert (set(large.exits), set(large.fallbacks)) == ({"device"}, {"INVALID_ARGUMENT"})
        assert session.infer(samples.at("edge")).exits == ("edge",)


def test_the_device_alone_answers_everything(packages: Packages, samples: Samples) -> None:
    with Session(packages.split) as session:
        answer = session.infer(samples.x)
        assert not session.wait_for_link(0)
    assert set(answer.exits) == {"device"}
    assert answer.fallbacks == tuple("" if tier == "device" else "UNAVAILABLE" for tier in samples.exits)


def test_nobody_can_answer_without_an_exit_or_a_link(packages: Packages, samples: Samples) -> None:
    with (
        Session(packages.all_cloud) as session,
        pytest.raises(UnavailableError, match="no tier above is configured"),
    ):
        session.infer(samples.x[:1])


def test_the_queue_is_bounded(packages: Packages, samples: Samples) -> None:
    with Session(
        packages.split, queue_limit=2, in_flight=2, emulated_speed=0.0005, deadline_ms=LONG_MS
    ) as session:
        answered = [session.submit(samples.x) for _ in range(2)]
        with pytest.raises(OverloadedError, match=r"the queue is full \(2 requests\)"):
            session.submit(samples.x)
        assert {future.result(TIMEOUT_S).exits[0] for future in answered} == {"device"}


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (np.zeros((1, 12), np.float64), "tensor 'x': expected float32, got float64"),
        (np.zeros((1, 11), np.float32), r"tensor 'x': expected shape \['batch', 12\], got \[1, 11\]"),
        (np.zeros((0, 12), np.float32), "the batch is empty"),
        (np.zeros((1025, 12), np.float32), "1025 samples in one request; at most 1024"),
        ({"z": np.zeros((1, 12), np.float32)}, r"missing tensors \['x'\]"),
        ({}, r"missing tensors \['x'\]"),
    ],
)
def test_wrong_inputs_are_the_callers(session: Session, inputs: Array | dict[str, Array], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        session.submit(inputs)


@pytest.mark.parametrize("deadline_ms", [0.0, -1.0, float("inf"), float("nan")])
def test_a_deadline_that_is_none_is_refused(session: Session, samples: Samples, deadline_ms: float) -> None:
    with pytest.raises(InvalidArgumentError, match="deadline_ms: expected more than 0"):
        session.submit(samples.x[:1], deadline_ms=deadline_ms)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"upstreams": "127.0.0.1:1"}, ConfigError, "upstreams"),
        ({"upstream": "nowhere"}, ConfigError, "HOST:PORT"),
        ({"deadline_ms": 0}, ConfigError, "deadline_ms"),
        ({"package": "/nowhere"}, NotFoundError, "not a package"),
    ],
)
def test_wrong_options_are_refused(
    packages: Packages, options: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        Session(**({"package": packages.split} | options))


def test_it_connects_when_the_edge_comes_later(packages: Packages, samples: Samples) -> None:
    with (
        reserved_address() as address,
        Session(packages.split, upstream=format_address(address), deadline_ms=LONG_MS) as session,
    ):
        assert session.infer(samples.at("edge")).fallbacks == ("UNAVAILABLE",)
        with running("edge", package=packages.split, listen=address):
            eventually(lambda: session.infer(samples.at("edge")).exits == ("edge",))
