"""However a device's request ends, its tensors are freed then, not with a later collection of circles."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.config import format_address
from splitnet_device import Answer, Session
from tests.programs.classifier import CLASSES, FEATURES, draw
from tests.programs.conftest import Packages, uncached
from tests.programs.processes import TIMEOUT_S, Program, running
from tests.programs.test_outages import silent
from tests.programs.test_recovery import with_backup
from tests.runtime.garbage import tensors_in_circles, uncollected

__all__ = ["uncached", "with_backup"]

X, _ = draw(60, seed=5)


@pytest.fixture(scope="module", autouse=True)
def no_collections(edge: Program, with_backup: Path) -> Iterator[None]:  # noqa: ARG001  (made before)
    with uncollected():
        yield


@pytest.fixture(scope="module")
def edge(packages: Packages, uncached: Sequence[str]) -> Iterator[Program]:
    """An edge without a cloud: half of what it is asked falls back to its exit."""
    with running("edge", package=packages.split, options=uncached) as edge:
        yield edge


def package_of(name: str, packages: Packages, with_backup: Path) -> Path:
    return {"an exit": packages.split, "a backup": with_backup, "nothing": packages.all_cloud}[name]


def ended(futures: "list[Future[Answer]]") -> list[BaseException | None]:
    assert not wait(futures, TIMEOUT_S).not_done
    return [None if future.cancelled() else future.exception() for future in futures]


@pytest.mark.parametrize("in_hand", ["an exit", "a backup", "nothing"])
def test_nobody_is_above(packages: Packages, with_backup: Path, in_hand: str) -> None:
    with Session(package_of(in_hand, packages, with_backup)) as session:
        errors = ended([session.submit(X[at : at + 20]) for at in range(3)])
        assert [error is None for error in errors] == [in_hand != "nothing"] * 3
        del errors
    assert tensors_in_circles() == []


@pytest.mark.parametrize("in_hand", ["an exit", "a backup", "nothing"])
def test_who_is_above_says_nothing(packages: Packages, with_backup: Path, in_hand: str) -> None:
    package = package_of(in_hand, packages, with_backup)
    with silent() as address, Session(package, upstream=format_address(address), deadline_ms=500.0) as session:
        errors = ended([session.submit(X[at : at + 20]) for at in range(3)])
        assert [error is None for error in errors] == [in_hand != "nothing"] * 3
        del errors
    assert tensors_in_circles() == []


@pytest.mark.parametrize("batching", [{}, {"max_delay_ms": 20.0}])
def test_the_tier_above_answers(edge: Program, packages: Packages, batching: Any) -> None:
    with Session(packages.split, upstream=edge.target, deadline_ms=1e4, batching=batching) as session:
        assert session.wait_for_link(TIMEOUT_S)
        assert ended([session.submit(X[at : at + 4]) for at in range(20)]) == [None] * 20
        assert session.infer(X).outputs["y"].shape == (60, CLASSES)
        futures = [session.submit(X[at : at + 4]) for at in range(20)]
        assert [future.cancel() for future in futures[::2]].count(True)
        ended(futures)
        del futures
    assert tensors_in_circles() == []


def test_the_tier_above_refuses(edge: Program, packages: Packages) -> None:
    with Session(packages.all_cloud, upstream=edge.target, deadline_ms=1e4) as session:
        assert session.wait_for_link(TIMEOUT_S)
        errors = ended([session.submit(X[at : at + 4]) for at in range(3)])
        assert ["runs plan" in str(error) for error in errors] == [True] * 3
        del errors
    assert tensors_in_circles() == []


def test_the_tier_above_dies_under_way(packages: Packages) -> None:
    with running("edge", package=packages.split, options=["--emulated-speed", "0.001"]) as edge:
        with Session(packages.split, upstream=edge.target, deadline_ms=1e4) as session:
            assert session.wait_for_link(TIMEOUT_S)
            futures = [session.submit(X) for _ in range(20)]
            edge.process.kill()
            assert ended(futures) == [None] * 20
            assert {future.result().fallback for future in futures} >= {True}
            del futures
        assert tensors_in_circles() == []


def test_the_session_ends_first(packages: Packages) -> None:
    session = Session(packages.all_device, emulated_speed=0.01)
    futures = [session.submit(np.zeros((512, FEATURES), np.float32)) for _ in range(5)]
    session.close()
    ended(futures)
    del futures, session
    assert tensors_in_circles() == []
