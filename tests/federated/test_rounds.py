"""Whole jobs with real devices in this process: sums, losses, refusals, privacy, stopping and going on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.errors import ConfigError, OperatorError, UnavailableError
from splitnet.learn.legs import SECURE_LEGS, Leg, LegMessage
from splitnet.learn.settings import FederatedSettings
from splitnet_server.rounds import JobFolder, run_job
from splitnet_server.rounds.run import MOST_TRIES
from splitnet_server.rounds.status import status_of
from tests.federated.memory_fleet import MemoryFleet
from tests.federated.world import Trainable, World, make_world

Make = Callable[..., World]


@pytest.fixture
def make(tmp_path: Path, trainable: Trainable) -> Make:
    def world(sites: str = "aaaa", terms: dict[str, object] | None = None, **settings: Any) -> World:
        base = {"rounds": 1, "grace_s": 0, "leg_s": 30, "local": {"epochs": 1, "learning_rate": 0.02}}
        return make_world(
            tmp_path, trainable, FederatedSettings.model_validate(base | settings), sites=sites, terms=terms
        )

    return world


def events(folder: JobFolder, kind: str) -> list[dict[str, Any]]:
    lines = folder.progress_path.read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == kind]


def test_the_secure_sum_is_the_sum(make: Make) -> None:
    world = make()
    before = world.folder.checkpoint().parameters
    run_job(world.folder.path, MemoryFleet(world))
    learned = world.folder.checkpoint().parameters.astype(np.float64) - before
    assert np.abs(learned - world.plain_mean(range(4), before, 1)).max() < 1e-5
    assert np.abs(learned).max() > 1e-3  # something was learned
    (round_,) = events(world.folder, "round")
    assert round_["devices"] == 4
    assert round_["weight"] == sum(world.update(i, before, 1).samples for i in range(4))
    assert set(round_["legs"]) == set(SECURE_LEGS)
    assert status_of(world.folder)["state"] == "finished"


def test_plain_and_secure_rounds_agree(make: Make, trainable: Trainable, tmp_path: Path) -> None:
    plain = make(terms={"allow_plain": True}, secure={"enabled": False})
    run_job(plain.folder.path, MemoryFleet(plain))
    (tmp_path / "secure").mkdir()
    settings = plain.settings.model_copy(update={"secure": FederatedSettings().secure})
    secure = make_world(tmp_path / "secure", trainable, settings, sites="aaaa")
    run_job(secure.folder.path, MemoryFleet(secure))
    one, other = plain.folder.checkpoint(), secure.folder.checkpoint()
    assert np.abs(one.parameters - other.parameters).max() < 1e-5
    one_metrics, other_metrics = (events(each.folder, "round")[0]["metrics"] for each in (plain, secure))
    assert one_metrics == pytest.approx(other_metrics, abs=1e-4)


@pytest.mark.parametrize("leg", SECURE_LEGS)
def test_a_device_that_is_lost_in_a_leg(make: Make, leg: Leg) -> None:
    world = make()
    before = world.folder.checkpoint().parameters
    gone = SECURE_LEGS.index(leg)
    fleet = MemoryFleet(world, lambda at, i, _: i != 2 or at == "hello" or SECURE_LEGS.index(at) < gone)
    run_job(world.folder.path, fleet)
    learned = world.folder.checkpoint().parameters.astype(np.float64) - before
    # Once its masked vector is in, a device that is lost is still part of the sum.
    summed = range(4) if gone > SECURE_LEGS.index("masked") else (0, 1, 3)
    assert np.abs(learned - world.plain_mean(summed, before, 1)).max() < 1e-5


def test_enough_devices_go_on_when_the_time_to_gather_is_over(make: Make) -> None:
    """Also where the last of them came so late that more might still come."""
    world = make(grace_s=3600, leg_s=3)
    run_job(world.folder.path, MemoryFleet(world, lambda _leg, device, _question: device != 2))
    assert events(world.folder, "round")[0]["devices"] == 3


def test_too_few_left_reveals_nothing_and_is_tried_again(make: Make) -> None:
    world = make()

    def reaches(leg: Leg, device: int, question: LegMessage) -> bool:
        return not (leg == "masked" and device < 2 and json.loads(question.header)["attempt"] == 1)

    fleet = MemoryFleet(world, reaches)
    run_job(world.folder.path, fleet)
    assert [(event["round"], event["attempt"]) for event in events(world.folder, "aborted")] == [(1, 1)]
    asked = [json.loads(question.header) for leg, _, question, _ in fleet.said if leg in ("confirm", "unmask")]
    assert {place["attempt"] for place in asked} == {2}
    assert events(world.folder, "round")[0]["attempt"] == 2


def test_it_gives_up_after_some_tries(make: Make) -> None:
    world = make()
    with pytest.raises(UnavailableError, match="failed 5 times"):
        run_job(world.folder.path, MemoryFleet(world, lambda leg, _i, _q: leg in ("hello", "update")))
    assert len(events(world.folder, "aborted")) == MOST_TRIES
    assert status_of(world.folder)["state"] == "failed"


def test_an_opening_that_fails_uses_up_the_round(make: Make) -> None:
    """Devices open a round once: the next try has another number, or they would refuse."""
    world = make()
    lost = iter([True] * 4)
    fleet = MemoryFleet(world, lambda leg, _i, _q: leg != "unmask" or not next(lost, False))
    run_job(world.folder.path, fleet)
    (round_,) = events(world.folder, "round")
    assert (round_["round"], round_["attempt"], round_["devices"]) == (2, 1, 4)


def test_cohorts_by_site(make: Make) -> None:
    world = make(sites="aaabbbc", server={"combine": "mean"})
    before = world.folder.checkpoint().parameters
    fleet = MemoryFleet(world)
    run_job(world.folder.path, fleet)
    (round_,) = events(world.folder, "round")
    assert (round_["cohorts"], round_["devices"]) == (2, 7)
    learned = world.folder.checkpoint().parameters.astype(np.float64) - before
    assert np.abs(learned - world.plain_mean(range(7), before, 1)).max() < 1e-5


def test_a_round_goes_on_from_the_checkpoint(make: Make) -> None:
    world = make(rounds=3)

    class CrashError(Exception):
        pass

    def crash(leg: Leg, _device: int, question: LegMessage) -> bool:
        if leg == "masked" and json.loads(question.header)["round"] == 2:
            raise CrashError
        return True

    with pytest.raises(CrashError):
        run_job(world.folder.path, MemoryFleet(world, crash))
    assert world.folder.checkpoint().rounds == 1
    assert status_of(world.folder)["state"] == "interrupted"
    fleet = MemoryFleet(world)
    run_job(world.folder.path, fleet)
    assert world.folder.checkpoint().rounds == 3
    assert [(event["round"], event["attempt"]) for event in events(world.folder, "round")] == [
        (1, 1),
        (2, 2),
        (3, 1),
    ]
    assert all(answer.refusal() is None for _, _, _, answer in fleet.said)


def test_a_job_is_stopped_and_resumed(make: Make) -> None:
    world = make(rounds=2)

    def stop(leg: Leg, _device: int, _question: LegMessage) -> bool:
        if leg == "shares":
            world.folder.ask_to_stop()
        return True

    run_job(world.folder.path, MemoryFleet(world, stop))
    assert status_of(world.folder)["state"] == "stopped"
    assert not world.folder.result_path.exists()
    world.folder.forget_stop()
    run_job(world.folder.path, MemoryFleet(world))
    assert status_of(world.folder)["state"] == "finished"


def test_one_process_runs_a_job(make: Make) -> None:
    world = make()
    with world.folder.locked(), pytest.raises(OperatorError, match="another process"):
        run_job(world.folder.path, MemoryFleet(world))


def test_distributed_privacy(make: Make) -> None:
    privacy = {"mechanism": "distributed", "noise_multiplier": 1.0, "budget": 8.0}
    world = make(rounds=5, privacy=privacy)
    before = world.folder.checkpoint().parameters
    run_job(world.folder.path, MemoryFleet(world))
    rounds = events(world.folder, "round")
    spent = [round_["epsilon"] for round_ in rounds]
    assert spent == sorted(spent)
    assert spent[-1] <= 8.0
    assert len(rounds) < 5, "the budget is reached before"
    assert "beyond privacy.budget" in json.loads(world.folder.result_path.read_text())["ended"]
    assert len(events(world.folder, "began")) == len(rounds), "no device trains for a round that is not paid for"
    assert rounds[0]["metrics"] == {}
    assert rounds[0]["weight"] == rounds[0]["devices"] == 4
    # The noise of deviation 1.0 over 4 devices is 0.25 in each coordinate of the mean, or a little more.
    assert 0.2 < np.std(world.folder.checkpoint().parameters - before) / np.sqrt(len(rounds)) < 0.4


def test_a_private_sum_of_fewer_devices_than_share_the_noise_is_not_opened(make: Make) -> None:
    world = make(sites="aaaaaa", privacy={"mechanism": "distributed", "noise_multiplier": 4.0, "budget": 20.0})
    # Of the six that were asked four must share the noise: of four that begin, three would do for the sum alone.
    fleet = MemoryFleet(
        world, lambda leg, i, _q: i < 3 or (i == 3 and leg in ("update", "shares")) or leg == "hello"
    )
    with pytest.raises(UnavailableError):
        run_job(world.folder.path, fleet)
    assert not [answer for leg, _, _, answer in fleet.said if leg == "unmask" and answer.refusal() is None]


def test_central_privacy(make: Make) -> None:
    world = make(privacy={"mechanism": "central", "noise_multiplier": 2.0, "budget": 20.0})
    before = world.folder.checkpoint().parameters
    run_job(world.folder.path, MemoryFleet(world))
    (round_,) = events(world.folder, "round")
    assert round_["epsilon"] > 0
    assert 0.4 < np.std(world.folder.checkpoint().parameters - before) < 0.6


def test_a_device_refuses_what_it_was_not_told_to_do(make: Make) -> None:
    world = make(secure={"enabled": False})
    fleet = MemoryFleet(world)
    with pytest.raises(UnavailableError):
        run_job(world.folder.path, fleet)
    refused = {refusal.refused for _, _, _, answer in fleet.said if (refusal := answer.refusal()) is not None}
    assert refused == {"not-plain"}


def test_a_device_with_too_few_samples_stays_out(make: Make) -> None:
    world = make(local={"least_samples": 41, "epochs": 1})  # device 0 has 40
    fleet = MemoryFleet(world)
    run_job(world.folder.path, fleet)
    assert events(world.folder, "leg")[0]["refused"] == {"nothing-to-give": 1}
    assert events(world.folder, "round")[0]["devices"] == 3


def test_a_package_without_training(make: Make, tmp_path: Path) -> None:
    world = make()
    package = tmp_path / "other.split"
    package.mkdir()
    manifest = json.loads((world.trainable.path / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps(manifest | {"training": []}))
    job = json.loads((world.folder.path / "job.json").read_text())
    (world.folder.path / "job.json").write_text(json.dumps(job | {"package": str(package)}))
    with pytest.raises(ConfigError, match="--trainable exits"):
        run_job(world.folder.path, MemoryFleet(world))
