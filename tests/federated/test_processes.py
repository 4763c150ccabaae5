"""Rounds over Flower's own processes while devices and servers are killed, and what is in their files then."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from splitnet.emulate.federation import LocalFederation
from splitnet.learn.legs import SECURE_LEGS
from splitnet.learn.secure import Contribution
from splitnet.learn.secure.contribution import encode
from splitnet.learn.settings import FederatedSettings
from splitnet.learn.sum_plan import plan_sum
from splitnet.learn.vector import Vector
from tests.federated.job_process import JobProcess, files_with
from tests.federated.world import Trainable, World, make_world

# The first test waits for the whole job: 80 s on two cores of its own, several times that beside others.
pytestmark = pytest.mark.timeout(1200)

DEVICES = 4  # of which three must survive
SETTINGS = FederatedSettings.model_validate(
    {
        "rounds": 8,
        "quorum": 0.6,
        "grace_s": 6.0,  # who is alive may be so much slower than the others on a busy machine
        "leg_s": 25.0,
        "local": {"epochs": 1, "learning_rate": 0.02},
    }
)

#: The event at which a leg begins.
LEG_BEFORE: dict[str, str] = dict(zip(SECURE_LEGS, ("began", *SECURE_LEGS), strict=False))


class Faults:
    """By round, who is killed when a leg begins: a device in each leg, then three at once, then servers."""

    def __init__(self, federation: LocalFederation) -> None:
        self._federation = federation
        self._dead: list[str] = []
        self.plan: Mapping[tuple[int, str], Callable[[], None]] = {
            **{(number, leg): self._killer(str(number % DEVICES)) for number, leg in enumerate(SECURE_LEGS, 1)},
            (6, "masked"): self._killer("0", "2", "3"),
            (7, "shares"): self._superlink,
            (8, "masked"): self._superexec,
        }

    def on(self, event: Mapping[str, Any]) -> None:
        kind = event["event"]
        # Started again while the round goes on without it, a device is back for the next.
        if kind in ("leg", "round", "aborted"):
            self.mend()
        at = event["leg"] if kind == "leg" else kind
        for (round_, leg), fault in self.plan.items():
            if event.get("attempt") == 1 and event.get("round") == round_ and LEG_BEFORE[leg] == at:
                fault()

    def mend(self) -> None:
        for name in self._dead:
            self._federation.restart(name)
        self._dead.clear()

    def _killer(self, *names: str) -> Callable[[], None]:
        def kill() -> None:
            for name in names:
                self._federation.kill(name)
            self._dead.extend(names)

        return kill

    def _superlink(self) -> None:
        self._federation.kill_superlink()
        self._federation.restart_superlink()

    def _superexec(self) -> None:
        self._federation.kill_superexec()  # and the ServerApp with it
        self._federation.restart_superexec()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, trainable: Trainable) -> World:
    return make_world(tmp_path_factory.mktemp("world"), trainable, SETTINGS, sites="a" * DEVICES)


@pytest.fixture(scope="module")
def federation(tmp_path_factory: pytest.TempPathFactory, world: World) -> Iterator[LocalFederation]:
    folder = tmp_path_factory.mktemp("federation")
    with LocalFederation(folder, world.fleet.nodes, durable=True) as running:
        yield running


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For copies of the SuperLink's database during the first round: what it deletes later was there."""
    return tmp_path_factory.mktemp("copies")


@pytest.fixture(scope="module")
def played(world: World, federation: LocalFederation, copies: Path) -> list[dict[str, Any]]:
    """The events of a job whose every round meets another fault."""
    faults, seen = Faults(federation), []
    with JobProcess(world.folder, federation.address) as process:
        for event in process.events():
            seen.append(event | {"parameters": world.folder.checkpoint().parameters})
            if event.get("round") == 1:
                for path in federation.folder.glob("superlink.db*"):
                    with suppress(FileNotFoundError):  # a journal, which SQLite deletes when it has committed
                        shutil.copyfile(path, copies / f"{len(seen)}-{path.name}")
            faults.on(event)
        assert process.result()["state"] == "finished"
    return seen


def rounds(played: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    return {event["round"]: event for event in played if event["event"] == "round"}


def test_all_rounds_are_done(played: list[dict[str, Any]]) -> None:
    assert [event["rounds"] for event in played if event["event"] == "round"] == list(range(1, 9))


def test_a_device_killed_in_any_leg(played: list[dict[str, Any]]) -> None:
    for number, leg in enumerate(SECURE_LEGS, 1):
        # Killed once its masked vector is in, it is part of the sum all the same.
        lost_before_the_sum = leg in ("update", "shares", "masked")
        assert rounds(played)[number]["devices"] == DEVICES - lost_before_the_sum, leg


def test_too_few_left(played: list[dict[str, Any]]) -> None:
    aborted = [(event["round"], event["attempt"]) for event in played if event["event"] == "aborted"]
    assert (6, 1) in aborted
    tried = [
        event["leg"]
        for event in played
        if event["event"] == "leg" and event["round"] == 6 and event["attempt"] == 1
    ]
    assert tried == list(SECURE_LEGS[:3]), "nobody was asked for what opens the sum"
    assert rounds(played)[6]["attempt"] > 1


def test_the_superlink_was_killed(played: list[dict[str, Any]]) -> None:
    assert rounds(played)[7]["attempt"] == 1
    assert rounds(played)[7]["devices"] == DEVICES


def test_the_superexec_and_the_server_app_were_killed(played: list[dict[str, Any]]) -> None:
    starts = [event["rounds"] for event in played if event["event"] == "started"]
    assert starts == [0, 7]
    assert (rounds(played)[8]["attempt"], rounds(played)[8]["devices"]) == (2, DEVICES)


def test_the_sums_are_right(world: World, played: list[dict[str, Any]]) -> None:
    # Adam's state on a device goes from round to round, so the first round is the one that can be told again.
    start, first = world.trainable.start, rounds(played)[1]["parameters"]
    learned = first.astype(np.float64) - start
    assert np.abs(learned).max() > 1e-3
    assert np.abs(learned - world.plain_mean((0, 2, 3), start, 1)).max() < 1e-5


def test_no_file_holds_anything_of_one_device(
    world: World, federation: LocalFederation, played: list[dict[str, Any]], copies: Path
) -> None:
    assert played
    federation.stop()  # whatever a program still had in memory is in its files now
    start = world.trainable.start
    # What was sent in the clear is found in the database, so what is not found was not sent.
    assert files_with(start.tobytes()[:64], list(copies.iterdir()))
    folders = [copies, federation.folder, world.folder.path, *world.fleet.states.values()]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    for device in range(DEVICES):
        for needle in _secrets(world, device, start):
            assert not files_with(needle, files), f"device {device}"


def _secrets(world: World, device: int, start: Vector) -> list[bytes]:
    """Pieces of a device's first update, as numbers, as what it was trained to, and encoded; and its metrics."""
    update = world.update(device, start, 1)
    plan = plan_sum(world.settings, parameters=len(start), devices=DEVICES)
    metrics = {name: value / update.samples for name, value in update.metrics.items()}
    words = encode(plan.encoding, Contribution(update.delta, update.samples, metrics))
    vectors: list[NDArray[Any]] = [
        update.delta,
        (start + update.delta).astype(np.float32),
        update.delta.astype(np.float64),
        words,
    ]
    pieces = [vector[at : at + 4].tobytes() for vector in vectors for at in (0, 50, 188)]
    losses = [update.metrics["loss_sum_before"], metrics["loss_sum_before"]]
    texts = [repr(float(loss))[:10].encode() for loss in losses]
    return [*pieces, *texts, *(np.float64(loss).tobytes() for loss in losses)]


def test_nothing_is_left_running(federation: LocalFederation, played: list[dict[str, Any]]) -> None:
    assert played
    federation.stop()
    folder = str(federation.folder).encode()
    commands = [_command(path) for path in Path("/proc").glob("[0-9]*/cmdline")]
    assert not [command for command in commands if folder in command]


def _command(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it ended meanwhile
        return b""
