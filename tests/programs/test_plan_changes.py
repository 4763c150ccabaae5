"""A device goes over to another plan as its link changes, and no request notices but by its time."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from splitnet.config import EdgeConfig, format_address
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.telemetry import Events
from splitnet.tier import ServingTier
from splitnet_device import Session
from tests.partition.jobs import job, run_whole
from tests.partition.test_plans import SITE, narrowing
from tests.programs.processes import TIMEOUT_S, eventually

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
            fast = max(session.manifest.plans, key=lambda plan: plan.bandwidth_from_bps).id
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
