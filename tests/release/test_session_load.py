"""Session.load: the device goes over alone or not at all, and says which version answers."""

import json
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    NotFoundError,
    PackageError,
    SplitNetError,
    UnavailableError,
)
from splitnet_device import Session
from tests.link.peers import Plane, serving
from tests.programs.classifier import NAME, draw
from tests.programs.conftest import Packages
from tests.release.versions import damage, other_weights

X, _ = draw(3, seed=31)


@pytest.fixture
def two(packages: Packages, tmp_path: Path) -> Path:
    return other_weights(packages.split, tmp_path / "two.split", version=2)


def edit_model(package: Path, **fields: Any) -> None:
    path = package / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["model"] |= fields
    path.write_text(json.dumps(manifest))


def test_a_device_alone_goes_over_and_back(packages: Packages, two: Path) -> None:
    with Session(packages.split) as session:
        before = session.infer(X)
        session.load(two)
        after = session.infer(X)
        session.load(two)  # it runs
        session.load(packages.split)
        again = session.infer(X)
    assert (before.version, after.version, again.version) == (1, 2, 1)
    np.testing.assert_array_equal(before.outputs["y"], again.outputs["y"])
    assert np.abs(before.outputs["y"] - after.outputs["y"]).max() > 1e-3


def test_requests_under_way_end_on_the_version_that_they_began_with(packages: Packages, two: Path) -> None:
    with Session(packages.split, emulated_speed=0.01) as session:
        old = [session.submit(X) for _ in range(5)]
        session.load(two)
        new = [session.submit(X) for _ in range(5)]
        assert [future.result().version for future in (*old, *new)] == [1] * 5 + [2] * 5
        for answers in (old, new):
            for future in answers:
                np.testing.assert_allclose(
                    future.result().outputs["y"], answers[0].result().outputs["y"], rtol=1e-5
                )


@pytest.mark.parametrize(
    ("spoil", "kind", "message"),
    [
        (damage, PackageError, "SHA-256"),
        (shutil.rmtree, NotFoundError, "not a package"),
        (lambda p: (p / "manifest.json").write_text("{"), PackageError, "manifest.json"),
        (
            lambda p: edit_model(p, name="other"),
            InvalidArgumentError,
            f"of model 'other'; '{NAME}' is served here",
        ),
        (lambda p: edit_model(p, version=1), InvalidArgumentError, "give the package another version"),
    ],
)
def test_a_package_that_cannot_take_over_changes_nothing(
    packages: Packages, two: Path, spoil: Callable[[Path], object], kind: type[SplitNetError], message: str
) -> None:
    spoil(two)
    with Session(packages.split) as session:
        with pytest.raises(kind, match=message):
            session.load(two)
        assert (session.version, session.infer(X).version) == (1, 1)


def test_a_package_of_another_signature_is_refused(packages: Packages, two: Path) -> None:
    path = two / "manifest.json"
    path.write_text(path.read_text().replace('"x"', '"renamed"'))
    with Session(packages.split) as session, pytest.raises(InvalidArgumentError, match="takes renamed float32"):
        session.load(two)


class Above(Plane):
    """A tier above that says of versions what the test wants, when it wants."""

    def __init__(self, answer: Callable[[str], bool]) -> None:
        super().__init__()
        self._ready = answer

    def model_ready(self, name: str, version: str) -> bool:
        assert name == f"{NAME}.edge"
        return self._ready(version)


def upstream(server: Any) -> str:
    return f"127.0.0.1:{server.address[1]}"


def test_it_waits_for_the_tier_above_no_longer_than_it_is_told(packages: Packages, two: Path) -> None:
    ended = threading.Event()
    with serving(Above(lambda _: ended.wait(20.0))) as server:
        with Session(packages.split, upstream=upstream(server)) as session:
            assert session.wait_for_link(20.0)
            with pytest.raises(DeadlineExceededError, match="no answer within the time"):
                session.load(two, timeout_s=0.2)
            assert session.version == 1
        ended.set()


def test_it_asks_for_its_own_version(packages: Packages, two: Path) -> None:
    with (
        serving(Above(lambda version: version == "2")) as server,
        Session(packages.split, upstream=upstream(server)) as session,
    ):
        session.load(two)
        assert session.version == 2
        with pytest.raises(UnavailableError, match="does not offer version 1"):
            session.load(packages.split)
        assert session.version == 2


def test_a_tier_above_that_is_gone_keeps_the_running_version(packages: Packages, two: Path) -> None:
    with Session(packages.split, upstream="127.0.0.1:9") as session:
        session.wait_for_link(20.0)
        with pytest.raises(UnavailableError, match="cannot be reached"):
            session.load(two)
        assert session.version == 1


def test_loads_at_once_take_turns(packages: Packages, two: Path) -> None:
    with Session(packages.split) as session, ThreadPoolExecutor(4) as threads:
        loads = [threads.submit(session.load, path) for path in (two, packages.split, two, packages.split) * 3]
        for load in loads:
            load.result(20.0)
        assert session.infer(X).version == session.version


def test_a_closed_session_loads_nothing(packages: Packages, two: Path) -> None:
    with closing(Session(packages.split, upstream="127.0.0.1:9")) as session:
        pass
    with pytest.raises(UnavailableError, match="the session is closed"):
        session.load(two)
