"""A device runs the plan that is predicted to be the best, once it is ready, and loses nothing by it."""

from concurrent.futures import Future

import numpy as np

from splitnet.package import Package
from splitnet.runtime import Answer
from splitnet.telemetry import Events
from splitnet_device import Session
from tests.programs.classifier import WholeModel, draw
from tests.programs.processes import TIMEOUT_S, eventually
from tests.tier.test_plans import serving

X, _ = draw(300, seed=9)


class Switches(Events):
    """Remembers plan changes."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def plan_switch(self, before: str, after: str) -> None:
        self.seen.append((before, after))


def test_requests_go_over_to_the_best_plan(package: Package, whole: WholeModel) -> None:
    """Of these plans the one that stays on the device is the best at any bandwidth: the model is small."""
    plans, switches = package.manifest.plans, Switches()
    with (
        serving(package, "cloud") as cloud,
        serving(package, "edge", cloud.address) as edge,
        Session(package.path, upstream=edge.address, deadline_ms=1e4, events=switches) as session,
    ):
        assert session.plan == plans[0].id
        futures: list[Future[Answer]] = []

        def ask() -> bool:
            futures.append(session.submit(X[len(futures) % len(X)][None]))
            futures[-1].result(TIMEOUT_S)
            return session.plan == plans[3].id

        eventually(ask)
        assert switches.seen[-1][1] == plans[3].id
        assert switches.seen[0][0] == plans[0].id
        answer = session.infer(X)
        assert set(answer.exits) == {"device"}
        np.testing.assert_allclose(answer.outputs["y"], whole.run(X)["y"], rtol=1e-4, atol=1e-5)
        assert not any(future.result().fallback for future in futures)


def test_without_it_the_default_plan_stays(package: Package) -> None:
    with (
        serving(package, "cloud") as cloud,
        serving(package, "edge", cloud.address) as edge,
        Session(package.path, upstream=edge.address, adaptive={"enabled": False}, deadline_ms=1e4) as session,
    ):
        for index in range(20):
            session.infer(X[index][None])
        assert session.plan == package.manifest.plan.id
