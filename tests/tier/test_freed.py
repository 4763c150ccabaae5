"""What was closed, unloaded or thrown out is freed at once: models have up to hundreds of MB."""

import gc
import os
import shutil
import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import wait
from functools import partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from splitnet.config import CloudConfig
from splitnet.errors import ConfigError
from splitnet.link import PACKAGE_PARAMETER, VERSION_PARAMETER, TierClient
from splitnet.package import Package
from splitnet.protocol import (
    MODEL_INFER,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    InferRequest,
    ModelChange,
)
from splitnet.tier import ServingTier
from splitnet_device import Session
from tests.faults.footprint import held
from tests.graph.models import Net
from tests.partition.jobs import job
from tests.programs.classifier import NAME, draw
from tests.programs.conftest import Packages
from tests.programs.processes import TIMEOUT_S, eventually
from tests.release.versions import other_weights
from tests.runtime.garbage import uncollected
from tests.tier.test_plans import ask, by_hand, passing, ready, serving

__all__ = ["passing"]

X, _ = draw(20, seed=5)


def models() -> "set[weakref.ref[ort.InferenceSession]]":
    """Return onnxruntime's sessions, as many as there are."""
    return {weakref.ref(each) for each in gc.get_objects() if isinstance(each, ort.InferenceSession)}


def left(those: "set[weakref.ref[ort.InferenceSession]]") -> int:
    return sum(each() is not None for each in those)


def models_of(session: Session) -> "set[weakref.ref[ort.InferenceSession]]":
    """Return those of all plans of a session, once they are loaded."""
    version = session._planning.running
    eventually(lambda: len(version._prepared) == len(version.plans))
    segments = [plan.pipeline.stages[0].segment for plan in version._prepared.values()]
    return {weakref.ref(each._session._session) for each in segments if each is not None and each._session}


@pytest.fixture(autouse=True)
def no_collections() -> Iterator[None]:
    with uncollected():
        yield


def test_a_closed_session_leaves_no_model(packages: Packages) -> None:
    before = models()
    session = Session(packages.all_device)
    own = models() - before
    assert len(own) == 1
    session.infer(X)
    session.close()
    del session
    assert left(own) == 0


def test_a_closed_session_of_several_plans_leaves_no_model(package: Package) -> None:
    with serving(package, "cloud") as cloud, serving(package, "edge", cloud.address) as edge:
        session = Session(package.path, upstream=edge.address, deadline_ms=1e4)
        own = models_of(session)
        assert len(own) == 3  # one of the four plans sends its input on
        wait([session.submit(X[[index]]) for index in range(20)], TIMEOUT_S)
        session.close()
        del session
        eventually(lambda: left(own) == 0)  # the link's thread may just be ending


def test_a_session_that_cannot_begin_leaves_nothing(packages: Packages, tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with pytest.raises(ConfigError, match="a link beyond this machine needs"):
        Session(packages.all_device, upstream="192.0.2.1:1", store=tmp_path / "store.db")
    assert set(threading.enumerate()) <= before
    assert not list(tmp_path.iterdir())


def test_a_version_that_a_device_has_left_leaves_no_model(packages: Packages, tmp_path: Path) -> None:
    two = other_weights(packages.all_device, tmp_path / "two.split", version=2)
    before = models()
    with Session(packages.all_device) as session:
        old = models() - before
        session.infer(X)
        session.load(two)
        assert session.infer(X).version == 2
        eventually(lambda: left(old) == 0)


def test_a_version_that_a_tier_has_unloaded_leaves_no_model(packages: Packages, tmp_path: Path) -> None:
    one = shutil.copytree(packages.split, tmp_path / "one.split")
    other_weights(one, tmp_path / "two.split", version=2)
    before = models()
    tier = ServingTier("cloud", CloudConfig.model_validate({"package": one, "listen": "127.0.0.1:0"}))
    old = models() - before
    assert len(old) == 3  # the whole model's
    tier.start()
    try:
        with TierClient(tier.address) as client:
            change = partial(ModelChange, NAME, "")
            client.call(REPOSITORY_MODEL_LOAD, change({PACKAGE_PARAMETER: "two.split"}), timeout_s=TIMEOUT_S)
            client.call(MODEL_INFER, InferRequest(NAME, {"x": X}, "1"), timeout_s=TIMEOUT_S)
            client.call(REPOSITORY_MODEL_UNLOAD, change({VERSION_PARAMETER: "1"}), timeout_s=TIMEOUT_S)
            eventually(lambda: left(old) == 0)
            client.call(MODEL_INFER, InferRequest(NAME, {"x": X}), timeout_s=TIMEOUT_S)
    finally:
        tier.stop()


def test_a_plan_that_makes_room_leaves_no_model(package: Package, passing: list[float]) -> None:
    manifest = package.manifest
    plans = manifest.plans[1:3]
    first, second = (manifest.model_name("cloud", plan) for plan in plans)
    sizes = [segment.param_bytes for plan in plans if (segment := manifest.segment_of("cloud", plan)) is not None]
    with serving(package, "cloud", plan_memory_bytes=max(sizes)) as cloud:
        before = models()
        assert not ready(cloud, first)
        eventually(lambda: ready(cloud, first))
        thrown_out = models() - before
        assert len(thrown_out) == 1
        ask(cloud, first, by_hand(package, plans[0], "cloud")[0])

        def follows() -> bool:
            passing[0] += 20.0
            return ready(cloud, second)

        eventually(follows)
        assert left(thrown_out) == 0


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package of 8 MB, for the device alone."""
    net = Net()
    wide = net.op("MatMul", "x", net.weight(8, 1024))
    net.op("MatMul", net.op("MatMul", wide, net.weight(1024, 2048)), net.weight(2048, 2), out="y")
    proto = net.proto({"x": ["N", 8]}, {"y": ["N", 2]})
    return job(proto, tmp_path_factory.mktemp("heavy"), place="all-device").package.path


def test_sessions_that_come_and_go_leave_nothing(heavy: Path) -> None:
    x = np.zeros((1, 8), np.float32)

    def come_and_go(times: int) -> None:
        for _ in range(times):
            with Session(heavy, upstream="127.0.0.1:9") as session:
                session.infer(x)
                session.submit(x).result(TIMEOUT_S)

    come_and_go(5)
    gc.collect()
    before, threads = held(os.getpid()), threading.active_count()
    come_and_go(50)
    # gRPC's own may just be ending.
    eventually(lambda: threading.active_count() <= threads and held(os.getpid()).files <= before.files)
    # Their models had 400 MB; the C library may keep what some of them have freed.
    assert held(os.getpid()).memory_bytes - before.memory_bytes < 150 * 2**20
