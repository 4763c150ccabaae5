"""A new version under load: cloud, edge and device go over while requests come and go; none is lost or mixed."""

import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from splitnet.config import parse_address
from splitnet.errors import UnavailableError
from splitnet.package import open_package, read_manifest
from splitnet.release import rollout
from splitnet.tensors import Array
from splitnet_device import Answer, Session
from tests.programs.classifier import NAME, Expected, by_hand, draw
from tests.programs.conftest import Packages
from tests.programs.processes import TIMEOUT_S, Program, eventually, running
from tests.release.versions import damage, other_weights

LONG_MS = TIMEOUT_S * 1e3
IN_FLIGHT = 12
#: Requests that must have come back before the next tier goes over.
BETWEEN = 150


@dataclass(frozen=True, slots=True)
class Site:
    """Two versions on disk, a cloud and an edge that serve the first, and what either should answer."""

    folder: Path
    cloud: Program
    edge: Program
    x: Array
    expected: dict[int, Expected]

    def package(self, name: str) -> Path:
        return self.folder / f"{name}.split"


@pytest.fixture(scope="module")
def folder(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("swap")
    shutil.copytree(packages.split, folder / "one.split")
    other_weights(packages.split, folder / "two.split", version=2)
    damage(other_weights(packages.split, folder / "damaged.split", version=3))
    return folder


@pytest.fixture
def site(folder: Path) -> Iterator[Site]:
    x, expected = certain(folder)
    with (
        running("cloud", package=folder / "one.split") as cloud,
        running("edge", package=folder / "one.split", upstream=cloud.address) as edge,
    ):
        yield Site(folder, cloud, edge, x, expected)
        assert "Traceback" not in cloud.logged() + edge.logged()


def certain(folder: Path) -> tuple[Array, dict[int, Expected]]:
    """Return samples whose exit is certain in both versions, and what each version answers to them."""
    x, _ = draw(400, seed=21)
    names = {1: "one", 2: "two"}
    whole = {version: by_hand(folder / f"{name}.split", x) for version, name in names.items()}
    alone = [by_hand(folder / f"{name}.split", x * np.float32(1 + 1e-5)).exits for name in names.values()]
    sure = [
        index
        for index in range(400)
        if all(exits[index] == whole[v].exits[index] for v, exits in enumerate(alone, start=1))
    ][:150]
    assert all({found.exits[index] for index in sure} == {"device", "edge", "cloud"} for found in whole.values())
    return x[sure], {
        version: Expected(found.y[sure], tuple(found.exits[index] for index in sure))
        for version, found in whole.items()
    }


@dataclass(slots=True)
class Load:
    """Requests without a break, each one sample, a dozen in flight; what became of them in the order submitted."""

    session: Session
    x: Array
    futures: "list[Future[Answer]]" = field(default_factory=list)
    _ended: threading.Event = field(default_factory=threading.Event)
    _slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(IN_FLIGHT))

    def run(self) -> None:
        while not self._ended.is_set():
            self._slots.acquire()
            index = len(self.futures) % len(self.x)
            future = self.session.submit(self.x[index : index + 1])
            self.futures.append(future)
            future.add_done_callback(lambda _: self._slots.release())

    def wait_for_more(self) -> None:
        """Wait until so many further requests have been answered."""
        target = len(self.futures) + BETWEEN
        eventually(lambda: len(self.futures) >= target and all(f.done() for f in self.futures[:target]))

    def end(self) -> list[Answer]:
        self._ended.set()
        self._slots.release()
        return [future.result(TIMEOUT_S) for future in self.futures]


def check(answers: list[Answer], site: Site) -> None:
    """Every answer is whole, of the version that it names, and by the tier that this version's exits choose."""
    for number, answer in enumerate(answers):
        expected, index = site.expected[answer.version], number % len(site.x)
        assert answer.fallbacks == ("",)
        assert answer.exits == (expected.exits[index],)
        # Not to the bit: in which order onnxruntime sums depends on where its input lies in memory.
        np.testing.assert_allclose(answer.outputs["y"][0], expected.y[index], rtol=1e-5, atol=1e-6)


def test_a_mixture_would_show(folder: Path, tmp_path: Path) -> None:
    """No combination of segments of both versions answers like either of them."""
    x, expected = certain(folder)
    for mixed in (("device",), ("device", "edge"), ("edge",)):
        path = tmp_path / "-".join(mixed)
        shutil.copytree(folder / "two.split", path)
        for tier in mixed:
            shutil.copy(folder / "one.split" / f"segments/{tier}.onnx", path / f"segments/{tier}.onnx")
        found = by_hand(path, x)
        for index in np.flatnonzero([exit_tier == "cloud" for exit_tier in found.exits]):
            apart = [float(np.abs(found.y[index] - each.y[index]).max()) for each in expected.values()]
            assert min(apart) > 1e-4, (mixed, index)


def test_no_request_is_lost_or_mixed_while_all_tiers_go_over(site: Site) -> None:
    two = open_package(site.package("two"))
    with Session(site.package("one"), upstream=site.edge.target, deadline_ms=LONG_MS) as session:
        assert session.wait_for_link(TIMEOUT_S)
        load = Load(session, site.x)
        sender = threading.Thread(target=load.run)
        sender.start()
        try:
            load.wait_for_more()
            for tier in (site.cloud, site.edge):
                rollout.apply(two, [parse_address(tier.target)], timeout_s=TIMEOUT_S)
                load.wait_for_more()
            session.load(site.package("two"))
            load.wait_for_more()
        finally:
            answers = load.end()
            sender.join(TIMEOUT_S)
        assert (session.version, session.manifest) == (2, two.manifest)
    check(answers, site)
    versions = [answer.version for answer in answers]
    assert versions == sorted(versions)  # in the order submitted: first the old one, then the new one
    assert min(versions.count(1), versions.count(2)) >= BETWEEN
    assert {answer.exits[0] for answer in answers if answer.version == 2} == {"device", "edge", "cloud"}


def test_a_damaged_version_under_load_changes_nothing(site: Site) -> None:
    damaged = open_package(site.package("damaged"))
    with Session(site.package("one"), upstream=site.edge.target, deadline_ms=LONG_MS) as session:
        assert session.wait_for_link(TIMEOUT_S)
        load = Load(session, site.x)
        sender = threading.Thread(target=load.run)
        sender.start()
        try:
            load.wait_for_more()
            with pytest.raises(Exception, match="its log says why"):
                rollout.apply(damaged, [site.cloud.address], timeout_s=TIMEOUT_S)
            with pytest.raises(Exception, match="the file was altered or damaged"):
                session.load(site.package("damaged"))
            load.wait_for_more()
        finally:
            answers = load.end()
            sender.join(TIMEOUT_S)
    check(answers, site)
    assert {answer.version for answer in answers} == {1}
    assert "SHA-256" in site.cloud.logged()


def test_nobody_goes_over_before_the_tier_above(site: Site) -> None:
    two = open_package(site.package("two"))
    with Session(site.package("one"), upstream=site.edge.target, deadline_ms=LONG_MS) as session:
        assert session.wait_for_link(TIMEOUT_S)
        with pytest.raises(UnavailableError, match=rf"the edge does not offer version 2 of '{NAME}.edge'"):
            session.load(site.package("two"))
        with pytest.raises(UnavailableError, match=rf"the cloud does not offer version 2 of '{NAME}.cloud'"):
            rollout.apply(two, [site.edge.address], timeout_s=TIMEOUT_S)
        assert session.version == 1
        loaded: list[tuple[str, str]] = []
        rollout.apply(
            two,
            [site.edge.address, site.cloud.address],  # in the wrong order, which it mends
            on_loaded=lambda address, tier: loaded.append((address, tier)),
        )
        assert loaded == [(site.cloud.target, "cloud"), (site.edge.target, "edge")]
        session.load(site.package("two"))
        answers = [session.infer(site.x[index : index + 1]) for index in range(len(site.x))]
        check(answers, site)
        assert {answer.version for answer in answers} == {2}
        session.load(site.package("one"))  # and back
        check([session.infer(site.x[:1])], site)
        assert session.version == 1
    ready = [(e.name, e.version) for e in rollout.status(site.edge.address).models if e.state == "READY"]
    assert ready == [(NAME, "2"), (f"{NAME}.edge", "2"), (NAME, "1"), (f"{NAME}.edge", "1")]
    assert read_manifest(site.package("two")).plan.id == two.manifest.plan.id
