"""The operator's roster on disk: versions count changes, and refused changes leave it as it was."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError
from splitnet.learn.identity import (
    DeviceKey,
    Enrolment,
    OperatorKey,
    enrol_devices,
    load_roster,
    revoke_devices,
)

OPERATOR = OperatorKey.generate()


def enrolment(name: str, site: str = "hall", key: DeviceKey | None = None) -> Enrolment:
    return Enrolment(name=name, site=site, public_key=(key or DeviceKey.generate()).public)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A roster of one device, version 1."""
    path = tmp_path / "roster.json"
    enrol_devices(path, OPERATOR, enrolments=[enrolment("cam-0")], model="pcb")
    return path


def test_a_version_is_a_change(path: Path) -> None:
    key = DeviceKey.generate()
    assert enrol_devices(path, OPERATOR, enrolments=[enrolment("cam-1", key=key)]).version == 2
    before = path.read_bytes()
    assert enrol_devices(path, OPERATOR, enrolments=[enrolment("cam-1", key=key)]).version == 2
    assert path.read_bytes() == before
    moved = enrol_devices(path, OPERATOR, enrolments=[enrolment("cam-1", "yard", key)], model="pcb")
    assert (moved.version, moved.sites[key.id]) == (3, "yard")
    last = revoke_devices(path, OPERATOR, ids=[key.id])
    assert (last.version, last.find(key.id)) == (4, None)
    assert load_roster(path, OPERATOR.public) == last


def test_what_is_refused_changes_nothing(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="two devices have the same name"):
        enrol_devices(path, OPERATOR, enrolments=[enrolment("cam-0")])
    with pytest.raises(InvalidArgumentError, match="of model 'pcb', not of 'other'"):
        enrol_devices(path, OPERATOR, enrolments=[enrolment("cam-1")], model="other")
    with pytest.raises(NotFoundError, match="no device unknown"):
        revoke_devices(path, OPERATOR, ids=["unknown"])
    with pytest.raises(ConfigError, match=r"roster\.json: roster: signed by"):
        enrol_devices(path, OperatorKey.generate(), enrolments=[enrolment("cam-1")])
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_a_new_roster_needs_its_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="--model NAME"):
        enrol_devices(tmp_path / "new.json", OPERATOR, enrolments=[enrolment("cam-0")])
    with pytest.raises(NotFoundError, match="no such file"):
        revoke_devices(tmp_path / "new.json", OPERATOR, ids=["a"])


def test_two_who_enrol_at_once_both_count(path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        wanted = [enrolment(f"new-{number}") for number in range(8)]
        list(pool.map(lambda each: enrol_devices(path, OPERATOR, enrolments=[each]), wanted))
    roster = load_roster(path, OPERATOR.public)
    assert (roster.version, len(roster.devices)) == (9, 9)
