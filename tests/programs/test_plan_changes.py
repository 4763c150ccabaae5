"""A device goes over to another plan as its link changes, and no request notices but by its time."""

import itertools
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from splitnet.config import EdgeConfig, format_address
from splitnet.emulate import BlackHole, LinkShape, ShapedLink
from splitnet.errors import DeadlineExceededError, UnavailableError
from splitnet.package import StageEntry, open_package, plan_id, write_package
from splitnet.telemetry import Events
from splitnet.tier import ServingTier
from splitnet_device import Session
from tests.partition.jobs import job, run_whole
from tests.partition.test_plans import SITE, narrowing
from tests.programs.conftest import Packages, Samples
from tests.programs.processes import TIMEOUT_S, eventually, in_time, running
from tests.tier.test_plans import serving

SLOW, FAST = LinkShape(bandwidth_bps=1e6), LinkShape(bandwidth_bps=5e7)


class Switches(Events):
    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def plan_switch(self, before: str, after: str) -> None:
        self.told.append((before, after))


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plans for a slow link, which send little or nothing, and one for a fast link, which sends the input."""
    folder = tmp_path_factory.mktemp("plans")
    made = job(narrowing(), folder, site=SITE, plans=4, codec="none", use_exits=False, profile_s=0.3)
    return made.package.path


def asking(session: Session, model: Path) -> Callable[[], None]:
    """Return what asks once, and holds the answer against the whole model's."""
    rng = np.random.default_rng(0)

    def ask() -> None:
        x = rng.standard_normal((2, 4096)).astype(np.float32)
        answer = session.infer(x, deadline_ms=TIMEOUT_S * 1e3)
        assert not answer.fallback
        np.testing.assert_allclose(answer.outputs["y"], run_whole(model, {"x": x})["y"], rtol=1e-4, atol=1e-4)

    return ask


def test_the_plan_follows_the_link_and_no_request_is_lost(package: Path) -> None:
    config = EdgeConfig.model_validate({"package": package, "listen": "127.0.0.1:0"})
    edge, heard = ServingTier("edge", config), Switches()
    edge.start()
    try:
        with (
            ShapedLink(edge.address, SLOW) as link,
            Session(package, upstream=format_address(link.address), emulated_speed=0.02, events=heard) as session,
        ):
            ask = asking(session, package.parent / "model.onnx")
            fast = fast_plan(session)
            ask()
            assert session.plan != fast

            def runs_fast() -> bool:
                ask()
                return session.plan == fast

            link.reshape(FAST)
            eventually(runs_fast)
            link.reshape(SLOW)
            eventually(lambda: not runs_fast())
    finally:
        edge.stop()
    told = heard.told
    assert 1 <= [after for _, after in told].count(fast) <= 2  # a neighbour may disturb it once
    assert [before for before, _ in told].count(fast) >= 1
    assert all(after == before for (_, after), (before, _) in itertools.pairwise(told))


def fast_plan(session: Session) -> str:
    return max(session.manifest.plans, key=lambda plan: plan.bandwidth_from_bps).id


def answers(session: Session) -> str:
    """Ask once, and return who answers; "nobody" where the device has nothing in hand."""
    try:
        answer = session.infer(np.zeros((1, 4096), np.float32))
    except (DeadlineExceededError, UnavailableError):
        return "nobody"
    assert not answer.fallback
    return answer.exits[0]


def test_service_returns_soon_after_a_black_hole(package: Path) -> None:
    """The first request that is lost makes the device compute by itself: pings alone see the link go and come."""
    with (
        running("edge", package=package, options=("--no-cache",)) as edge,
        ShapedLink(edge.address, FAST) as link,
        Session(
            package,
            upstream=format_address(link.address),
            emulated_speed=0.02,
            deadline_ms=400,
            cache={"entries": 0},
        ) as session,
    ):

        def return_s() -> float:
            eventually(lambda: answers(session) == "edge")
            link.inject(BlackHole())
            eventually(lambda: answers(session) == "nobody")
            eventually(lambda: answers(session) == "device")
            time.sleep(0.5)  # as long as a fault lasts
            link.heal()
            healed_s = time.monotonic()
            eventually(lambda: answers(session) == "edge")
            return time.monotonic() - healed_s

        in_time(return_s, 2.0)


def deep(packages: Packages, target: Path, *, alone_first: bool = False) -> Path:
    """A plan over all three tiers, with an exit on each, and one that leaves all to a device said to be slow."""
    split, whole = open_package(packages.split), open_package(packages.all_device)
    (segment,), plan = whole.manifest.segments, whole.manifest.plan
    segment = segment.model_copy(update={"id": "whole", "file": "segments/whole.onnx"})
    alone = plan.model_copy(
        update={
            "id": plan_id([segment], (), ()),
            "segments": ("whole",),
            "stages": (StageEntry(tier="device", reach=1.0, compute_ms=500.0),),
            "bandwidth_from_bps": split.manifest.plan.bandwidth_from_bps + 1.0,
        }
    )
    plans = (alone, split.manifest.plan) if alone_first else (split.manifest.plan, alone)
    manifest = split.manifest.model_copy(update={"segments": (*split.manifest.segments, segment), "plans": plans})
    files = {name: (split.path / name).read_bytes() for name in split.manifest.files}
    files[segment.file] = (whole.path / whole.manifest.segments[0].file).read_bytes()
    return write_package(target, manifest, files).path


def test_an_edge_that_has_lost_its_cloud_is_asked_for_nothing_that_needs_it(
    packages: Packages, samples: Samples, uncached: Sequence[str], tmp_path: Path
) -> None:
    deep_package, heard = deep(packages, tmp_path / "deep.split"), Switches()
    with ExitStack() as stack:
        cloud = stack.enter_context(running("cloud", package=deep_package))
        edge = stack.enter_context(running("edge", package=deep_package, upstream=cloud.address, options=uncached))
        session = stack.enter_context(Session(deep_package, upstream=edge.target, events=heard))
        split, alone = (plan.id for plan in session.manifest.plans)

        def ask() -> tuple[str, str]:
            time.sleep(0.02)
            answer = session.infer(samples.at("cloud"), deadline_ms=TIMEOUT_S * 1e3)
            return answer.exits[0], answer.fallbacks[0]

        eventually(lambda: ask() == ("cloud", "") and session.plan == split)
        told = len(heard.told)
        cloud.process.kill()
        cloud.ended()
        assert ask() == ("edge", "UNAVAILABLE")
        eventually(lambda: ask() == ("device", ""))
        assert {ask() for _ in range(130)} == {("device", "")}  # the edge says that there is nothing to try
        assert heard.told[told:] == [(split, alone)]
        stack.enter_context(running("cloud", package=deep_package, listen=cloud.address))
        eventually(lambda: ask() == ("cloud", "") and session.plan == split)
    assert heard.told[told:][:2] == [(split, alone), (alone, split)]
    assert len(heard.told[told:]) <= 4  # a neighbour may disturb it once


def test_a_cloud_that_begins_anew_has_a_plan_before_a_request_needs_it(
    packages: Packages, samples: Samples, tmp_path: Path
) -> None:
    """It has nothing but the default one until somebody asks; no request is to find that out."""
    package = open_package(deep(packages, tmp_path / "deep.split", alone_first=True))
    split = package.manifest.plans[1].id
    with ExitStack() as stack:
        cloud_until = stack.enter_context(ExitStack())
        address = cloud_until.enter_context(serving(package, "cloud")).address
        edge = stack.enter_context(serving(package, "edge", address))
        session = stack.enter_context(Session(package.path, upstream=edge.address))

        def ask() -> tuple[str, str]:
            time.sleep(0.02)
            answer = session.infer(samples.at("cloud"), deadline_ms=TIMEOUT_S * 1e3)
            return answer.exits[0], answer.fallbacks[0]

        eventually(lambda: ask() == ("cloud", "") and session.plan == split)
        cloud_until.close()
        eventually(lambda: ask() == ("device", ""))
        told = [ask() for _ in range(10)]
        stack.enter_context(serving(package, "cloud", listen=address))

        def is_back() -> bool:
            told.append(ask())
            return told[-1] == ("cloud", "") and session.plan == split

        eventually(is_back)
    assert set(told) == {("device", ""), ("cloud", "")}


def test_with_adaptive_off_the_default_plan_is_run(package: Path) -> None:
    with Session(package, adaptive={"enabled": False}) as session:
        assert session.plan == session.manifest.plan.id
        assert session._planning._thread is None


def test_plans_that_do_not_fit_into_memory_are_left_out(package: Path) -> None:
    with Session(package, plan_memory_bytes=0) as session:
        plans = session._planning.running.plans
        segments = [session.manifest.segment_of("device", plan) for plan in plans[1:]]
    assert plans[0] == session.manifest.plan
    assert all(segment is None for segment in segments)
