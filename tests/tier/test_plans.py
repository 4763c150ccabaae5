"""Edge and cloud serve every plan of a package: the default one always, the others once somebody asks for them."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

from splitnet.config import CloudConfig, EdgeConfig, format_address
from splitnet.errors import ConfigError, NotFoundError, OverloadedError, PackageError, UnavailableError
from splitnet.link import TierClient
from splitnet.package import Package, PlanEntry
from splitnet.protocol import (
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    REPOSITORY_INDEX,
    SERVER_METADATA,
    Empty,
    IndexRequest,
    InferRequest,
    InferResponse,
    ModelName,
)
from splitnet.runtime import Segment
from splitnet.telemetry import Events, Exchange
from splitnet.tensors import Tensors
from splitnet.tier import ServingTier, Uplink, plans_that_fit
from splitnet.tier.plans import VersionPlans
from splitnet.tier.served import ServedModel
from splitnet.tier.shelf import PlanShelf
from splitnet.tiers import TIERS, Tier
from tests.programs.classifier import NAME, draw
from tests.programs.processes import TIMEOUT_S, eventually

X, _ = draw(4, seed=5)


@contextmanager
def serving(package: Package, tier: Tier, upstream: str | None = None, **settings: Any) -> Iterator[TierClient]:
    fields = {"package": package.path, "listen": "127.0.0.1:0", **settings}
    if tier == "cloud":
        served = ServingTier("cloud", CloudConfig.model_validate(fields))
    else:
        config = EdgeConfig.model_validate(fields | {"upstream": upstream})
        served = ServingTier("edge", config, Uplink("edge", config))
    served.start()
    try:
        with TierClient(served.address) as client:
            yield client
    finally:
        served.stop()


def ready(client: TierClient, name: str) -> bool:
    return client.call(MODEL_READY, ModelName(name), timeout_s=TIMEOUT_S)


def ask(client: TierClient, name: str, tensors: Tensors, **parameters: str) -> Any:
    request = InferRequest(name, tensors, parameters=parameters)
    return client.call(MODEL_INFER, request, timeout_s=TIMEOUT_S).tensors["y"]


def by_hand(package: Package, plan: PlanEntry, tier: Tier) -> tuple[Tensors, Any]:
    """What `tier` gets of X by a plan where nothing leaves below it, and what it and those above answer."""
    values: Tensors = {"x": X}
    y = np.full((len(X), 4), np.nan, np.float32)
    into: Tensors = {}
    for index, at in enumerate(TIERS[: len(plan.wires) + 1]):
        segment = package.manifest.segment_of(at, plan)
        if at == tier:
            wire = plan.wire_into(tier)
            assert wire is not None
            into = {tensor.name: values[tensor.name] for tensor in wire.tensors}
        if segment is None:
            continue
        values = values | Segment(package.read_segment(segment), name=segment.id).run(values)
        head = package.manifest.exit_of(segment.id)
        if head is not None and index >= TIERS.index(tier):
            leaving = np.isnan(y[:, 0]) & (values[head.confidence] >= np.float32(head.threshold))
            y[leaving] = values[head.outputs["y"]][leaving]
    return into, np.where(np.isnan(y), values["y"], y)


def test_a_plan_is_loaded_when_somebody_asks_for_it(package: Package) -> None:
    manifest = package.manifest
    with serving(package, "cloud") as cloud:
        for plan in manifest.plans[:3]:
            name = manifest.model_name("cloud", plan)
            tensors, expected = by_hand(package, plan, "cloud")
            if plan is not manifest.plan:
                assert not ready(cloud, name)
            eventually(partial(ready, cloud, name))
            np.testing.assert_array_equal(ask(cloud, name, tensors, splitnet_plan=plan.id), expected)
        alone = manifest.model_name("cloud", manifest.plans[3])
        assert not ready(cloud, alone)
        with pytest.raises(NotFoundError, match="is not served here; there are"):
            ask(cloud, alone, {"x": X})
        states = {entry.name: entry.state for entry in cloud.call(REPOSITORY_INDEX, IndexRequest(), timeout_s=9)}
    assert states == dict.fromkeys(
        [NAME, f"{NAME}.cloud", *(manifest.model_name("cloud", plan) for plan in manifest.plans[1:3])], "READY"
    )


def test_asking_for_an_answer_or_what_it_takes_loads_a_plan_too(package: Package) -> None:
    manifest = package.manifest
    u8, whole = (manifest.model_name("cloud", plan) for plan in manifest.plans[1:3])
    with serving(package, "cloud") as cloud:
        with pytest.raises(UnavailableError, match=f"plan {manifest.plans[2].id} of 'classifier' is not ready"):
            ask(cloud, whole, {"x": X})
        described = cloud.call(MODEL_METADATA, ModelName(u8), timeout_s=TIMEOUT_S)
        wire = manifest.plans[1].wire_into("cloud")
        assert wire is not None
        assert [tensor.name for tensor in described.inputs] == [tensor.name for tensor in wire.tensors]
        assert [tensor.name for tensor in described.outputs] == ["y"]
        loaded = {u8, whole}
        eventually(lambda: loaded <= index_of(cloud, ready=True))


def index_of(client: TierClient, *, ready: bool) -> set[str]:
    return {entry.name for entry in client.call(REPOSITORY_INDEX, IndexRequest(ready=ready), timeout_s=TIMEOUT_S)}


def test_a_plan_of_another_name_is_not_found(package: Package) -> None:
    manifest = package.manifest
    tensors, _ = by_hand(package, manifest.plan, "cloud")
    with (
        serving(package, "cloud") as cloud,
        pytest.raises(NotFoundError, match=f"runs plan '{manifest.plan.id}' here, not '{manifest.plans[1].id}'"),
    ):
        ask(cloud, f"{NAME}.cloud", tensors, splitnet_plan=manifest.plans[1].id)


def test_an_edge_has_a_plan_ready_when_the_cloud_has(package: Package) -> None:
    plan = package.manifest.plans[1]
    name = package.manifest.model_name("edge", plan)
    tensors, expected = by_hand(package, plan, "edge")
    with serving(package, "edge", "127.0.0.1:9") as edge:
        assert not ready(edge, name)
        eventually(lambda: _refused(edge, name, tensors) == "")  # loaded, and answered by the edge's exit
        assert not ready(edge, name)
    with serving(package, "cloud") as cloud, serving(package, "edge", cloud.address) as edge:
        eventually(lambda: ready(edge, name))
        assert ready(cloud, package.manifest.model_name("cloud", plan))
        np.testing.assert_array_equal(ask(edge, name, tensors), expected)


def _refused(client: TierClient, name: str, tensors: Tensors) -> str:
    try:
        ask(client, name, tensors)
    except UnavailableError as err:
        return str(err)
    return ""


def test_without_room_a_plan_is_never_ready_and_says_so(
    package: Package, caplog: pytest.LogCaptureFixture
) -> None:
    plan = package.manifest.plans[1]
    tensors, _ = by_hand(package, plan, "cloud")
    name = package.manifest.model_name("cloud", plan)
    with serving(package, "cloud", plan_memory_bytes=0) as cloud:
        eventually(lambda: "no room for it in plan_memory_bytes" in _refused(cloud, name, tensors))
        assert not ready(cloud, name)
        (told,) = [record.getMessage() for record in caplog.records if "plan_memory_bytes" in record.message]
        assert told.startswith(f"plan {plan.id} of")
        tensors, expected = by_hand(package, package.manifest.plan, "cloud")
        np.testing.assert_array_equal(ask(cloud, f"{NAME}.cloud", tensors), expected)


def test_a_probe_is_answered_at_once_with_nothing(package: Package) -> None:
    with serving(package, "cloud") as cloud:
        assert "splitnet_probe" in cloud.call(SERVER_METADATA, Empty(), timeout_s=TIMEOUT_S).extensions
        answer = probed(cloud, package.manifest.model_name("cloud", package.manifest.plans[1]), nbytes=100_000)
        assert (answer.id, answer.tensors) == ("p", {})
        assert "splitnet_way_up" not in answer.parameters
        assert index_of(cloud, ready=True) == {NAME, f"{NAME}.cloud"}


def probed(client: TierClient, name: str, nbytes: int = 64, **parameters: bool) -> InferResponse:
    nothing = {"probe": np.zeros(nbytes, np.uint8)}
    request = InferRequest(name, nothing, id="p", parameters={"splitnet_probe": True, **parameters})
    return client.call(MODEL_INFER, request, timeout_s=TIMEOUT_S)


def says(client: TierClient, name: str) -> object:
    """What a tier answers to a probe that asks about the way up of one of its models."""
    return probed(client, name, splitnet_way_up=True).parameters["splitnet_way_up"]


def test_a_probe_tells_whether_a_request_would_find_its_way_up(package: Package) -> None:
    manifest = package.manifest
    name, above = (manifest.model_name(tier, manifest.plans[1]) for tier in ("edge", "cloud"))
    with serving(package, "cloud") as cloud:
        address = cloud.address
        assert says(cloud, f"{NAME}.cloud") is True
        assert says(cloud, above) is False
        eventually(lambda: says(cloud, above) is True)  # it was asked for
    with serving(package, "edge") as edge:  # which has no cloud at all
        assert says(edge, f"{NAME}.edge") is False
    with serving(package, "edge", address) as edge:
        assert says(edge, f"{NAME}.edge") is says(edge, NAME) is says(edge, name) is False
        for _ in range(2):
            with serving(package, "cloud", listen=address) as cloud:
                eventually(lambda: says(edge, f"{NAME}.edge") is True)
                eventually(lambda: says(edge, name) is True)
                assert above in index_of(cloud, ready=True)
            eventually(lambda: says(edge, f"{NAME}.edge") is False)
            assert says(edge, name) is False
            assert ready(edge, name)  # what it has loaded it answers, if by its exit


class Shelf:
    """A shelf on which plans of so many bytes are put, each an object of its own."""

    def __init__(self, most_bytes: int) -> None:
        self.shelf = PlanShelf(most_bytes)
        self.built: list[str] = []

    def put(self, name: str, size_bytes: int) -> str:
        """Ask for a plan and wait for the end of the attempt; return why it is not there, or ""."""
        self.shelf.ask(name, lambda: self._build(name), size_bytes)
        eventually(lambda: self.shelf.get(name) is not None or not self._asked(name))
        return "" if self.shelf.get(name) is not None else self.shelf.ask(name, lambda: self._build(name), 0)

    def _asked(self, name: str) -> bool:
        return name in self.shelf._asked

    def _build(self, name: str) -> ServedModel:
        self.built.append(name)
        if name == "broken":
            raise PackageError("/secret/path: damaged")
        return ServedModel(None, (), name)  # type: ignore[arg-type]  # none of these runs


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The shelf's clock, which goes on when told to."""
    now = [1000.0]
    monkeypatch.setattr("splitnet.tier.shelf.time.monotonic", lambda: now[0])
    return now


def test_what_was_not_used_for_longest_makes_room(passing: list[float]) -> None:
    plans = Shelf(100)
    with closing(plans.shelf) as shelf:
        assert (plans.put("a", 40), plans.put("b", 40)) == ("", "")
        assert "no room" in plans.put("c", 40)  # both were asked for a moment ago
        passing[0] += 5
        assert shelf.get("a") is not None
        passing[0] += 6
        assert plans.put("c", 40) == ""
        assert [shelf.is_ready(name) for name in "abc"] == [True, False, True]
        passing[0] += 60
        assert "no room" in plans.put("d", 101)
        assert [shelf.is_ready(name) for name in "ac"] == [True, True]


def test_a_plan_in_use_is_not_thrown_out(passing: list[float]) -> None:
    plans = Shelf(100)
    with closing(plans.shelf) as shelf:
        assert plans.put("a", 60) == ""
        request: Future[None] = Future()
        shelf.hold("a", request)
        passing[0] += 3600
        assert "no room" in plans.put("b", 60)
        request.set_result(None)
        assert "no room" in plans.put("b", 60)  # asked for again at once: the last attempt still stands
        passing[0] += 11
        assert plans.put("b", 60) == ""
        assert shelf.get("a") is None


def test_a_damaged_plan_is_not_read_at_every_request_and_tells_no_path(passing: list[float]) -> None:
    plans = Shelf(100)
    with closing(plans.shelf):
        for _ in range(5):
            assert plans.put("broken", 1) == "it cannot be loaded; the log says why"
        assert plans.built == ["broken"]
        passing[0] += 2
        plans.put("broken", 1)
        assert plans.built == ["broken", "broken"]


def test_plans_that_fit_count_shared_segments_once(package: Package) -> None:
    manifest = package.manifest
    segment = manifest.segment_of("device", manifest.plans[1])
    assert segment is not None
    names = [[plan.id for plan in plans_that_fit(manifest, "device", most)] for most in (0, segment.param_bytes)]
    assert (
        names
        == [
            [manifest.plan.id, manifest.plans[2].id],  # the last only sends its input on
            [plan.id for plan in manifest.plans[:3]],
        ]
    )


class Above:
    """A tier above that offers everything."""

    connected = True

    def is_offered(self, _timeout_s: float) -> bool:
        return True


@pytest.mark.parametrize("error", [None, OverloadedError("full"), UnavailableError("gone")])
def test_after_a_request_that_found_nobody_the_tier_above_is_asked_again(error: Exception | None) -> None:
    with closing(PlanShelf(100)) as shelf:
        way_up: Any = Above()
        pipeline: Any = None  # it never runs
        shelf.ask("a", lambda: ServedModel(pipeline, (), "a", goes_on=True, way_up=way_up), 1)
        eventually(lambda: shelf.is_ready("a"))
        request: Future[None] = Future()
        shelf.hold("a", request)
        if error is None:
            request.set_result(None)
        else:
            request.set_exception(error)
        assert shelf.is_ready("a") is not isinstance(error, UnavailableError)


def test_what_is_dropped_while_it_loads_is_not_kept() -> None:
    with closing(PlanShelf(100)) as shelf:
        begun, go_on = threading.Event(), threading.Event()

        def build() -> ServedModel:
            begun.set()
            assert go_on.wait(TIMEOUT_S)
            return ServedModel(None, (), "a")  # type: ignore[arg-type]  # it never runs

        assert "being loaded" in shelf.ask("a", build, 60)
        assert begun.wait(TIMEOUT_S)
        shelf.drop({"a"})
        go_on.set()
        assert "being loaded" in shelf.ask("b", lambda: ServedModel(None, (), "b"), 60)  # type: ignore[arg-type]
        eventually(lambda: shelf.is_ready("b"))  # behind it, and there is room
        assert shelf.get("a") is None


def test_what_waits_to_be_loaded_at_the_end_is_not() -> None:
    plans, shelf = Shelf(100), PlanShelf(100)
    begun, go_on = threading.Event(), threading.Event()

    def build() -> ServedModel:
        begun.set()
        assert go_on.wait(TIMEOUT_S)
        return plans._build("a")

    shelf.ask("a", build, 1)
    assert begun.wait(TIMEOUT_S)
    shelf.ask("b", lambda: plans._build("b"), 1)
    shelf.close()
    go_on.set()
    assert shelf._thread is not None
    shelf._thread.join(TIMEOUT_S)
    assert (plans.built, shelf.get("a")) == (["a"], None)


def test_a_version_that_is_unloaded_loads_no_plan_more(package: Package) -> None:
    with closing(PlanShelf(2**30)) as shelf:
        plans = VersionPlans(shelf, package.manifest, "cloud", lambda _: pytest.fail("it is loaded"))
        plans.drop()
        for name in plans.names:
            assert not plans.is_ready(name)
            with pytest.raises(UnavailableError, match="its version is no longer loaded"):
                plans.get(name)
        assert not shelf._asked


def test_a_tier_that_cannot_begin_leaves_no_compute_thread(package: Package) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        fields = {"package": package.path, "listen": format_address(taken.getsockname())}
        with pytest.raises(ConfigError, match="cannot listen"):
            ServingTier("cloud", CloudConfig.model_validate(fields))
    assert not [each for each in threading.enumerate() if each.name == "cloud_0"]


class Heard(Events):
    """Notes what crossed the link."""

    def __init__(self) -> None:
        self.sent_bytes: list[int] = []

    def exchange(self, exchange: Exchange) -> None:
        self.sent_bytes.append(exchange.sent_bytes)


def test_the_link_is_warm_before_an_edge_takes_requests(package: Package) -> None:
    wire = package.manifest.plan.wire_from("edge")
    assert wire is not None
    heard = Heard()
    with serving(package, "cloud") as cloud:
        fields = {"package": package.path, "listen": "127.0.0.1:0", "upstream": cloud.address}
        config = EdgeConfig.model_validate(fields)
        with closing(Uplink("edge", config, events=heard)) as uplink:
            ServingTier("edge", config, uplink).stop()
    (sent_bytes,) = heard.sent_bytes
    assert sent_bytes >= 4 * wire.sample_bytes
