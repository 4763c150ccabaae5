"""A device and the messages of a server that is late, repeats itself, replays, or asks for what it must not."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.learn.identity import DeviceState, make_operator
from splitnet.learn.legs import SECURE_LEGS, Hello, Introduction, Leg, LegMessage, introduction_bytes
from splitnet.learn.settings import FederatedSettings
from splitnet.signing import is_signed
from splitnet_device.federated import Participant
from splitnet_server.rounds import Patience, run_job
from tests.federated.memory_fleet import MemoryFleet
from tests.federated.world import Trainable, World, make_world

SETTINGS = FederatedSettings.model_validate({"rounds": 1, "grace_s": 0, "leg_s": 30, "local": {"epochs": 1}})


@pytest.fixture
def world(tmp_path: Path, trainable: Trainable) -> World:
    return make_world(tmp_path, trainable, SETTINGS, sites="aaa")


def refused(answer: LegMessage) -> str | None:
    refusal = answer.refusal()
    return None if refusal is None else refusal.refused


def before(leg: Leg, interfere: Callable[[MemoryFleet, int, LegMessage], None], world: World) -> MemoryFleet:
    """Run a round; before device 0 is asked `leg`, something else reaches it."""

    def reaches(at: Leg, device: int, question: LegMessage) -> bool:
        if (at, device) == (leg, 0):
            interfere(fleet, device, question)
        return True

    fleet = MemoryFleet(world, reaches)
    run_job(world.folder.path, fleet)
    return fleet


class Repeating(MemoryFleet):
    """Asks every question twice, and keeps what came of the second time."""

    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.heard: dict[Leg, set[str | None]] = {}

    def ask(self, leg: Leg, questions: Mapping[int, LegMessage], patience: Patience) -> dict[int, LegMessage]:
        answers = super().ask(leg, questions, patience)
        again = [self.participant(node - 100).answer(leg, each) for node, each in questions.items()]
        self.heard[leg] = {refused(answer) for answer in again}
        return answers


def test_a_repeated_question_is_refused_and_harms_nothing(world: World) -> None:
    fleet = Repeating(world)
    run_job(world.folder.path, fleet)
    assert not [answer for _, _, _, answer in fleet.said if answer.refusal() is not None]
    assert fleet.heard == {
        "hello": {None},  # who it is may be asked at any time
        "update": {"replayed"},
        "shares": {"wrong-leg"},
        "masked": {"no-state"},  # its update is gone as soon as it is masked
        "confirm": {"wrong-leg"},
        "unmask": {"no-state"},
    }


@pytest.mark.parametrize("leg", SECURE_LEGS)
def test_an_old_question_is_refused_and_harms_nothing(world: World, leg: Leg) -> None:
    """What was asked in a round, asked again in the next, changes nothing for that."""
    first = MemoryFleet(world)
    run_job(world.folder.path, first)
    old = next(question for at, device, question, _ in first.said if (at, device) == (leg, 0))
    job = json.loads((world.folder.path / "job.json").read_text())
    job["settings"]["rounds"] = 2
    (world.folder.path / "job.json").write_text(json.dumps(job))
    world.folder.result_path.unlink()
    heard: list[str | None] = []
    fleet = before(
        "masked", lambda fleet, device, _: heard.append(refused(fleet.participant(device).answer(leg, old))), world
    )
    assert heard[0] is not None
    assert not [refused(answer) for _, _, _, answer in fleet.said if refused(answer) is not None]


def test_a_device_that_lost_its_memory_sits_out(world: World) -> None:
    restarted = Participant(world.fleet.states["0"], b"another key, another SuperNode: ", 100)
    heard: list[str | None] = []
    before("shares", lambda _f, _d, question: heard.append(refused(restarted.answer("shares", question))), world)
    assert heard == ["no-state"]


def test_nothing_of_a_round_is_readable_or_left(world: World) -> None:
    start = world.trainable.start
    update = world.update(0, start, 1)
    pieces = [
        update.delta.tobytes()[:16],
        update.delta.tobytes()[-16:],
        b'"weight"',
        str(world.fleet.ids["0"]).encode(),
    ]
    seen: list[bytes] = []

    def look(_fleet: MemoryFleet, _device: int, _question: LegMessage) -> None:
        folder = world.fleet.states["0"] / "round"
        seen.extend(path.read_bytes() for path in folder.iterdir())
        assert {path.stat().st_mode & 0o077 for path in (folder, *folder.iterdir())} == {0}

    before("masked", look, world)
    assert len(seen) == 3
    assert not [piece for piece in pieces for content in seen if piece in content]
    assert list((world.fleet.states["0"] / "round").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"secure": {"enabled": False}}, "another-config"),
        ({"secure": {"threshold": 0.51}}, "low-threshold"),
        ({"clip": 2.0}, None),
    ],
)
def test_terms_of_the_device(world: World, change: dict[str, Any], reason: str | None) -> None:
    terms = world.fleet.states["0"] / "federated.toml"
    terms.write_text(terms.read_text() + "least_threshold = 0.6\n")
    heard: list[str | None] = []

    def other_settings(fleet: MemoryFleet, device: int, question: LegMessage) -> None:
        header = json.loads(question.header)
        header["settings"] |= {
            key: (header["settings"][key] | value if isinstance(value, dict) else value)
            for key, value in change.items()
        }
        header["place"]["attempt"] = 9
        message = LegMessage(json.dumps(header).encode(), question.body, question.vectors)
        heard.append(refused(fleet.participant(device).answer("update", message)))

    before("update", other_settings, world)
    assert heard == [reason]


@pytest.mark.parametrize("damage", [b"{}", b"not json", b'{"place": {}}', b"\xff"])
@pytest.mark.parametrize("leg", ["hello", "update", "plain", "shares"])
def test_malformed_headers(world: World, leg: Leg, damage: bytes) -> None:
    participant = MemoryFleet(world).participant(0)
    assert refused(participant.answer(leg, LegMessage(damage))) is not None


def test_parameters_of_another_model(world: World) -> None:
    heard: list[str | None] = []

    def shorter(fleet: MemoryFleet, device: int, question: LegMessage) -> None:
        for vector in (np.zeros(3, np.float32), np.zeros(192, np.float64), np.full(192, np.nan, np.float32)):
            message = LegMessage(question.header, vectors={"parameters": vector})
            heard.append(refused(fleet.participant(device).answer("update", message)))

    with pytest.raises(Exception, match="failed 5 times"):
        # The last of them claims the leg, so that the right question comes too late, each time.
        before("update", shorter, world)
    assert heard[:3] == ["malformed", "malformed", "not-finite"]


def test_no_internal_text_leaves(world: World) -> None:
    (world.fleet.states["0"] / "federated.toml").unlink()
    answer = MemoryFleet(world).participant(0).answer("hello", LegMessage.of(Hello(run="r", nonce="0" * 64)))
    assert refused(answer) is not None
    assert str(world.fleet.states["0"]).encode() not in answer.header


def test_a_roster_of_another_operator(world: World, tmp_path: Path) -> None:
    participant = MemoryFleet(world).participant(0)
    hello = Hello(run="r", nonce="0" * 64)
    good = participant.answer("hello", LegMessage.of(hello, world.fleet.roster.read_bytes()))
    words = good.read(Introduction)
    key = DeviceState(world.fleet.states["0"]).key().public
    assert is_signed(introduction_bytes(hello, 100), bytes.fromhex(words.signature), by=key)
    assert not is_signed(introduction_bytes(hello, 101), bytes.fromhex(words.signature), by=key)
    make_operator(tmp_path / "other")
    forged = world.fleet.roster.read_bytes().replace(b'"version": 1', b'"version": 2')
    assert refused(participant.answer("hello", LegMessage.of(hello, forged))) == "not-ready"
