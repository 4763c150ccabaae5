"""A request ends once and in time: by the backup model, a kept answer or an error where nobody else can answer."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future, wait
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from splitnet.config import CloudConfig, EdgeConfig, format_address
from splitnet.cost import default_site
from splitnet.emulate import LinkShape, ShapedLink, Stall
from splitnet.errors import DeadlineExceededError, OverloadedError, SplitNetError, UnavailableError
from splitnet.partition import PartitionOptions, partition
from splitnet.telemetry import Events, RequestEnd, SegmentRun
from splitnet.tier import ServingTier, Uplink
from splitnet_device import Answer, Session
from tests.programs.classifier import CLASSES, FEATURES, NAME
from tests.programs.conftest import Packages, Samples
from tests.programs.processes import TIMEOUT_S, eventually, in_time
from tests.programs.test_outages import LATE_S, silent, timed

LONG_MS = TIMEOUT_S * 1e3
#: At this share of the speed a batch of 1,024 takes the device 0.1 to 2 s, one sample a hundredth of that.
SLOW = 0.0005


class Heard(Events):
    """What a session told."""

    def __init__(self) -> None:
        self.ends: list[RequestEnd] = []
        self.runs: list[SegmentRun] = []
        self.hits = 0
        self.depth = 0

    def request_end(self, end: RequestEnd) -> None:
        self.ends.append(end)

    def segment_run(self, run: SegmentRun) -> None:
        self.runs.append(run)

    def cache_hit(self, tier: str) -> None:
        self.hits += tier == "device"

    def queue_depth(self, waiting: int) -> None:
        self.depth = waiting


@pytest.fixture(scope="module")
def with_backup(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything in the cloud, and a linear model beside it."""
    folder = tmp_path_factory.mktemp("backup")
    weight = np.random.default_rng(0).standard_normal((FEATURES, CLASSES)).astype(np.float32)
    x, y = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", size])
        for name, size in (("x", FEATURES), ("y", CLASSES))
    )
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    graph = helper.make_graph([node], "linear", [x], [y], [numpy_helper.from_array(weight, "w")])
    small = folder / "small.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), small)
    job = PartitionOptions(
        packages.model,
        folder / "backup.split",
        default_site(),
        name=NAME,
        calibration=packages.calibration,
        profile_s=0.05,
        place="all-cloud",
        codec="none",
        backup=small,
    )
    return partition(job).package.path


def linear(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    weight = np.random.default_rng(0).standard_normal((FEATURES, CLASSES)).astype(np.float32)
    product: np.ndarray[Any, Any] = x @ weight
    return product


@contextmanager
def serving(
    package: Path, *, with_cloud: bool = True, events: Events | None = None, **options: Any
) -> Iterator[ServingTier]:
    """An edge in this process, with or without a cloud where it looks for one."""
    with ExitStack() as stack:
        settings = {"package": package, "listen": "127.0.0.1:0", "grace_s": 0.5}
        if with_cloud:
            cloud = ServingTier("cloud", CloudConfig.model_validate(settings))
            cloud.start()
            stack.callback(cloud.stop)
            settings["upstream"] = format_address(cloud.address)
        else:
            settings["upstream"] = "127.0.0.1:9"
        config = EdgeConfig.model_validate(settings | options)
        uplink = stack.enter_context(closing(Uplink("edge", config)))
        edge = ServingTier("edge", config, uplink, events=events or Events())
        edge.start()
        stack.callback(edge.stop)
        yield edge


@contextmanager
def over_a_black_hole(package: Path, **options: Any) -> Iterator[Session]:
    with (
        silent() as target,
        ShapedLink(target, LinkShape(delay_s=0.005)) as link,
        Session(package, upstream=format_address(link.address), **options) as session,
    ):
        yield session


def test_the_backup_answers_at_once_where_nobody_else_can(with_backup: Path, samples: Samples) -> None:
    heard = Heard()
    with Session(with_backup, events=heard) as session:
        answer = session.infer(samples.x[:3])
    assert (answer.exits, answer.fallbacks) == (("backup",) * 3, ("UNAVAILABLE",) * 3)
    np.testing.assert_allclose(answer.outputs["y"], linear(samples.x[:3]), rtol=1e-5)
    (end,) = heard.ends
    assert (end.status, end.exits, end.fallbacks) == ("OK", answer.exits, answer.fallbacks)


def test_the_backup_answers_by_the_deadline_where_the_link_is_a_black_hole(
    with_backup: Path, samples: Samples
) -> None:
    def one_s() -> float:
        with over_a_black_hole(with_backup, deadline_ms=300) as session:
            answer, seconds = timed(session, samples, "cloud")
            assert (answer.exits, answer.fallbacks) == (("backup",), ("DEADLINE_EXCEEDED",))
            return seconds

    in_time(one_s, 0.3 + LATE_S)


def test_the_backup_answers_what_is_open_when_the_session_is_closed(with_backup: Path, samples: Samples) -> None:
    with over_a_black_hole(with_backup, deadline_ms=600_000) as session:
        future = session.submit(samples.x[:3])
    assert future.done()
    assert (future.result().exits, future.result().fallbacks) == (("backup",) * 3, ("UNAVAILABLE",) * 3)


def test_an_answer_from_above_goes_before_a_backup_in_hand(with_backup: Path, samples: Samples) -> None:
    """Slow as it is, the backup begins at half of the deadline; the answer comes once it has computed."""
    heard = Heard()
    with (
        serving(with_backup) as edge,
        ShapedLink(edge.address, LinkShape()) as link,
        Session(
            with_backup, upstream=format_address(link.address), emulated_speed=0.0002, events=heard
        ) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        link.inject(Stall(None, "down"))
        future = session.submit(samples.x[:8], deadline_ms=3000)
        eventually(lambda: heard.runs)
        link.heal()
        answer = future.result(TIMEOUT_S)
    assert (answer.exits, answer.fallback) == (("cloud",) * 8, False)
    assert [run.segment for run in heard.runs] == ["backup"]


def test_the_backup_answers_where_the_edge_has_neither_cloud_nor_exit(with_backup: Path, samples: Samples) -> None:
    with (
        serving(with_backup, with_cloud=False) as edge,
        Session(with_backup, upstream=format_address(edge.address), deadline_ms=LONG_MS) as session,
    ):
        answer = session.infer(samples.x[:2])
    assert (answer.exits, answer.fallbacks) == (("backup",) * 2, ("UNAVAILABLE",) * 2)


def test_kept_answers_are_given_only_where_nothing_else_is_left(packages: Packages, samples: Samples) -> None:
    heard, x = Heard(), samples.x[:2].copy()
    with ExitStack() as stack:
        edge = stack.enter_context(serving(packages.all_cloud))
        upstream = format_address(edge.address)
        with Session(packages.all_cloud, upstream=upstream, deadline_ms=LONG_MS, events=heard) as session:
            first, again = session.infer(x), session.infer(x)
            assert (first.exits, again.exits, heard.hits) == (("cloud",) * 2, ("cloud",) * 2, 0)
            stack.close()
            eventually(lambda: not session.connected)
            kept = session.infer(x)
            assert (kept.exits, kept.fallbacks) == (("cache",) * 2, ("UNAVAILABLE",) * 2)
            np.testing.assert_array_equal(kept.outputs["y"], first.outputs["y"])
            x[0, 0] += 1  # the caller's array is the caller's: what was asked is kept as it was
            with pytest.raises(UnavailableError):
                session.infer(x)
    assert heard.hits == 1
    assert [end.status for end in heard.ends] == ["OK", "OK", "OK", "UNAVAILABLE"]


def test_a_device_with_an_exit_keeps_nothing(packages: Packages, samples: Samples) -> None:
    with (
        serving(packages.split) as edge,
        Session(packages.split, upstream=format_address(edge.address), deadline_ms=LONG_MS) as session,
    ):
        assert not session.infer(samples.at("cloud")).fallback
        assert len(session._recovery.cache) == 0


def test_what_waits_behind_a_slow_run_ends_in_time(packages: Packages, samples: Samples) -> None:
    large = np.repeat(samples.x, 5, axis=0)

    def late_s() -> float:
        ended_s: list[float] = []
        with Session(packages.split, deadline_ms=100, emulated_speed=SLOW) as session:
            start_s = time.monotonic()
            futures = [session.submit(large) for _ in range(4)]
            for future in futures:
                future.add_done_callback(lambda _: ended_s.append(time.monotonic()))
            assert not wait(futures, TIMEOUT_S).not_done
        assert {type(future.exception()) for future in futures} == {DeadlineExceededError}
        return max(ended_s) - start_s

    in_time(late_s, 0.1 + LATE_S)


def test_what_cannot_be_done_in_time_is_refused_at_once(packages: Packages, samples: Samples) -> None:
    heard = Heard()
    with Session(packages.split, deadline_ms=LONG_MS, emulated_speed=SLOW, events=heard) as session:
        large = np.repeat(samples.x, 5, axis=0)
        session.infer(large)
        ahead = [session.submit(large) for _ in range(3)]
        with pytest.raises(OverloadedError, match="requests are ahead of it"):
            session.submit(samples.x[:1], deadline_ms=20)
        assert [future.result(TIMEOUT_S).exits[0] for future in ahead] == ["device"] * 3
        assert session.submit(samples.x[:1]).result(TIMEOUT_S).exits == ("device",)
    assert sorted(end.status for end in heard.ends) == ["OK"] * 5 + ["RESOURCE_EXHAUSTED"]


def test_a_cancelled_request_is_not_computed(packages: Packages, samples: Samples) -> None:
    heard = Heard()
    with Session(packages.split, deadline_ms=LONG_MS, emulated_speed=SLOW, events=heard) as session:
        first = session.submit(np.repeat(samples.x, 5, axis=0))
        second = session.submit(samples.x[:7])
        assert second.cancel()
        assert first.result(TIMEOUT_S).exits[0] == "device"
        with pytest.raises(CancelledError):
            second.result()
    assert [run.samples for run in heard.runs] == [1000]
    assert sorted(end.status for end in heard.ends) == ["CANCELLED", "OK"]


def test_a_request_that_went_up_can_be_cancelled(packages: Packages, samples: Samples) -> None:
    heard = Heard()
    with over_a_black_hole(packages.split, deadline_ms=2000, events=heard) as session:
        future = session.submit(samples.at("cloud"))
        eventually(lambda: heard.runs)
        assert future.cancel()
        again = session.submit(samples.at("cloud"), deadline_ms=50)
        assert again.result(TIMEOUT_S).fallbacks == ("DEADLINE_EXCEEDED",)
    assert [end.status for end in heard.ends] == ["CANCELLED", "OK"]
    assert len({end.request_id for end in heard.ends}) == 2


def test_what_is_cancelled_here_is_not_computed_above(packages: Packages, samples: Samples) -> None:
    heard = Heard()
    with (
        serving(packages.split, with_cloud=False, events=heard, emulated_speed=SLOW) as edge,
        Session(packages.split, upstream=format_address(edge.address), deadline_ms=LONG_MS) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        running = session.submit(np.repeat(samples.at("edge"), 1000, axis=0))
        eventually(lambda: heard.depth == 1)
        waiting = session.submit(samples.at("cloud", 3))
        eventually(lambda: heard.depth == 2)
        assert waiting.cancel()
        eventually(lambda: heard.depth < 2)
        assert not running.done()
        assert running.result(TIMEOUT_S).exits == ("edge",) * 1000
    assert [run.samples for run in heard.runs] == [1000]
    assert [end.status for end in heard.ends] == ["CANCELLED", "OK"]


def test_an_end_is_told_once_however_many_may_end_a_request(with_backup: Path, samples: Samples) -> None:
    """Deadline, backup, link and caller race for 200 requests; each future ends, and is told of, once."""
    heard = Heard()
    rng = np.random.default_rng(0)
    ended: list[Future[Answer]] = []
    with over_a_black_hole(with_backup, events=heard, queue_limit=512, window=8) as session:
        futures = [session.submit(samples.x[:1], deadline_ms=float(rng.uniform(1, 60))) for _ in range(200)]
        for future in futures:
            future.add_done_callback(ended.append)
        cancelling = threading.Thread(target=lambda: [future.cancel() for future in futures[::5]])
        cancelling.start()
        assert not wait(futures, TIMEOUT_S).not_done
        cancelling.join()
    assert len(ended) == len(heard.ends) == len({end.request_id for end in heard.ends}) == 200
    for future in futures:
        if not future.cancelled():
            error = future.exception()
            assert isinstance(error, SplitNetError) if error else future.result().exits == ("backup",)
