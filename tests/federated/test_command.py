"""`splitnet federate` and `splitnet device --federate`: what is missing is said, and a job is seen and stopped."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from splitnet.emulate.fleet import TryOutDevice, make_fleet
from splitnet.learn.settings import FederatedSettings
from splitnet_device.federated import read_federated_config
from splitnet_server.rounds import run_job
from splitnet_server.rounds.status import status_of
from tests.federated.memory_fleet import MemoryFleet
from tests.federated.world import Trainable, World, make_world

# Some tests run the command ten times, of which each loads Flower.
pytestmark = pytest.mark.timeout(300)

SETTINGS = FederatedSettings.model_validate({"rounds": 1, "grace_s": 0, "leg_s": 30, "local": {"epochs": 1}})


@pytest.fixture
def world(tmp_path: Path, trainable: Trainable) -> World:
    return make_world(tmp_path, trainable, SETTINGS, sites="aaa")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "splitnet", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def refused(code: int, *arguments: str) -> str:
    """The one line on standard error of a command that ends with `code`."""
    done = run(*arguments)
    (line,) = done.stderr.splitlines()
    assert (done.returncode, done.stdout) == (code, "")
    return line


def test_status_and_stop(world: World) -> None:
    job = str(world.folder.path)
    assert json.loads(run("federate", "status", job, "--json").stdout)["state"] == "interrupted"
    run_job(world.folder.path, MemoryFleet(world))
    shown = json.loads(run("federate", "status", job, "--json").stdout)
    assert (shown["state"], shown["rounds"], shown["last_round"]["devices"]) == ("finished", 1, 3)
    assert "devices 3" in run("federate", "status", job).stdout
    assert "nothing to stop" in run("federate", "stop", job).stdout
    assert not world.folder.stopped


def test_a_running_job_is_asked_to_stop(world: World) -> None:
    with world.folder.locked():
        assert "stopping" in run("federate", "stop", str(world.folder.path)).stdout
    assert world.folder.stopped


def test_a_folder_that_is_no_job(tmp_path: Path) -> None:
    assert "not the folder of a federated job" in refused(2, "federate", "status", str(tmp_path))
    assert "not the folder of a federated job" in refused(2, "federate", "stop", str(tmp_path))


def test_what_a_new_job_needs(world: World, tmp_path: Path) -> None:
    output = ("--output", str(tmp_path / "new"))
    assert "--superlink HOST:PORT" in refused(2, "federate", "run", *output)
    superlink = ("--superlink", "127.0.0.1:1")
    assert "--package" in refused(2, "federate", "run", *output, *superlink)
    package = ("--package", str(world.trainable.path))
    assert "--roster" in refused(2, "federate", "run", *output, *superlink, *package)
    fleet = ("--roster", str(world.fleet.roster), "--operator", str(tmp_path / "fleet" / "operator"))
    settings = tmp_path / "job.toml"
    settings.write_text("rounds = 0\n")
    options = (*output, *superlink, *package, *fleet, "--settings", str(settings))
    assert "rounds" in refused(3, "federate", "run", *options)
    existing = ("--output", str(world.folder.path), *superlink, *package, *fleet)
    assert "--resume" in refused(3, "federate", "run", *existing)
    resumed = ("--output", str(world.folder.path), *superlink, "--resume", "--rounds", "3")
    assert "leave out --rounds" in refused(2, "federate", "run", *resumed)


def test_what_could_not_come_to_an_end_is_not_begun(world: World, tmp_path: Path) -> None:
    package = ("--package", str(world.trainable.path), "--output", str(tmp_path / "new"))
    fleet = ("--roster", str(world.fleet.roster), "--operator", str(tmp_path / "fleet" / "operator"))
    superlink = ("--superlink", "127.0.0.1:1")
    begin = ("federate", "run", *package)
    assert "nobody listens there" in refused(4, *begin, *superlink, *fleet)
    certificates = ("--root-certificates", str(tmp_path / "none.pem"))
    assert "none.pem: no such file" in refused(2, *begin, *superlink, *fleet, *certificates)
    calibration = ("--calibration", str(tmp_path / "none.npz"))
    assert "none.npz" in refused(2, *begin, *superlink, *fleet, *calibration)
    assert "--calibration" in refused(2, *begin, *superlink, *fleet, "--judge", "some.npz")
    many = tmp_path / "many.json"
    many.write_text('{"least_devices": 9}')
    assert "a round needs 9" in refused(3, *begin, *superlink, *fleet, "--settings", str(many))
    assert "expected a directory of sample stores" in refused(2, *begin, "--local", "3", "--stores", "nope")
    assert "a round needs 3 devices" in refused(2, *begin, "--local", "2", "--stores", str(tmp_path))
    quoted = ("federate", "run", "--package", str(world.trainable.path), "--output", str(tmp_path / "it's"))
    assert "quote" in refused(2, *quoted, "--local", "3", "--stores", str(tmp_path))
    assert not (tmp_path / "new" / "job.json").exists()


def test_paths_of_any_kind_are_written_and_read(tmp_path: Path) -> None:
    odd = tmp_path / 'a "quoted" \\ näme 😀'
    devices = [TryOutDevice("one", "here", odd / "store.db")]
    fleet = make_fleet(tmp_path / "odd", odd / "p.split", devices, model="m", terms={"least_peers": 3})
    config = read_federated_config(fleet.states["one"])
    assert (config.package, config.store, config.least_peers) == (odd / "p.split", odd / "store.db", 3)


def test_a_device_that_is_not_ready(world: World, tmp_path: Path) -> None:
    federate = ("device", "--federate", "127.0.0.1:1")
    assert "--state DIR" in refused(2, *federate)
    assert "splitnet keys device" in refused(2, *federate, "--state", str(tmp_path / "none"))
    state = world.fleet.states["0"]
    (state / "federated.toml").write_text('package = "none"\nstore = "none"\nleast_peers = 0\n')
    assert "least_peers" in refused(3, *federate, "--state", str(state))
    assert "--input" in refused(2, "device")


def test_progress_is_whole_lines(world: World) -> None:
    run_job(world.folder.path, MemoryFleet(world))
    with world.folder.progress_path.open("ab") as file:
        file.write(b'{"event": "rou')
    assert status_of(world.folder)["state"] == "finished"
