"""A device's state directory: whom it trusts, which roster it accepts, and that nothing is undone."""

from pathlib import Path

import pytest

from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError
from splitnet.learn.identity import (
    DeviceState,
    OperatorKey,
    make_operator,
    operator_public,
    read_enrolment,
    sign_roster,
)
from splitnet.learn.identity.signed import sign_document
from tests.learn.identity.fleets import entry, roster

OPERATOR = OperatorKey.generate()


@pytest.fixture
def state(tmp_path: Path) -> DeviceState:
    """A device that trusts the operator and has no roster yet."""
    made = DeviceState.create(tmp_path / "state")
    made.trust(OPERATOR.public)
    return made


def test_the_directory_is_the_devices_alone(state: DeviceState) -> None:
    assert state.path.stat().st_mode & 0o777 == 0o700
    DeviceState(state.path)
    state.path.chmod(0o720)
    with pytest.raises(ConfigError, match=r"others may write into it \(mode 0720\)"):
        DeviceState(state.path)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="`splitnet keys device`"):
        DeviceState(tmp_path / "none")


def test_an_enrolment_is_made_once_and_written_again(state: DeviceState) -> None:
    first, path = state.enrolment("cam-1", "hall")
    assert read_enrolment(path) == first
    assert state.key().public == first.public_key
    again, path = state.enrolment("cam-2", "yard")
    assert (again.id, again.name, read_enrolment(path).site) == (first.id, "cam-2", "yard")
    assert read_enrolment(path, site="roof").site == "roof"


def test_a_bad_name_leaves_no_key(state: DeviceState) -> None:
    with pytest.raises(InvalidArgumentError, match=r"^name: expected up to 64 letters.*, got '\.\./cam'$"):
        state.enrolment("../cam", "hall")
    with pytest.raises(InvalidArgumentError, match=r"^site: .*, got ''$"):
        state.enrolment("cam", "")
    assert not state.key_path.exists()


def test_an_enrolment_cannot_enrol_anothers_key(state: DeviceState, tmp_path: Path) -> None:
    """Altered, it does not verify; nor does the operator's word for the site let anything else through."""
    _, path = state.enrolment("cam-1", "hall")
    text = path.read_text()
    other = DeviceState.create(tmp_path / "other").enrolment("cam-1", "hall")[0]
    key = state.key().public.hex()
    (tmp_path / "forged").write_text(
        text.replace(f'"public_key": "{key}"', f'"public_key": "{other.public_key.hex()}"')
    )
    with pytest.raises(ConfigError, match="does not fit"):
        read_enrolment(tmp_path / "forged", site="roof")
    (tmp_path / "forged").write_text(text.replace("cam-1", "cam-9"))
    with pytest.raises(ConfigError, match="does not fit"):
        read_enrolment(tmp_path / "forged")
    with pytest.raises(ConfigError, match="site"):
        read_enrolment(path, site="the roof")
    resigned = sign_document("enrolment/1", other.model_dump(mode="json"), state.key())
    (tmp_path / "forged").write_bytes(resigned)
    with pytest.raises(ConfigError, match="enrols a key that did not sign it"):
        read_enrolment(tmp_path / "forged")


def test_without_an_operator_no_roster_counts(tmp_path: Path) -> None:
    state = DeviceState.create(tmp_path / "state")
    with pytest.raises(ConfigError, match="trusts no operator yet"):
        state.accept_roster(sign_roster(roster(), OPERATOR))
    assert state.roster() is None


def test_the_last_roster_is_kept(state: DeviceState) -> None:
    first = roster()
    assert state.roster() is None
    assert state.accept_roster(sign_roster(first, OPERATOR)) == first
    assert state.accept_roster(sign_roster(first, OPERATOR)) == first
    second = first.changed([*first.devices, entry("new")])
    assert state.accept_roster(sign_roster(second, OPERATOR)) == second
    assert DeviceState(state.path).roster() == second
    with pytest.raises(ConfigError, match="version 1 is older than version 2"):
        state.accept_roster(sign_roster(first, OPERATOR))
    assert state.roster() == second


def test_two_rosters_of_one_version_are_refused(state: DeviceState) -> None:
    first = roster()
    state.accept_roster(sign_roster(first, OPERATOR))
    with pytest.raises(ConfigError, match="two different rosters have version 1"):
        state.accept_roster(sign_roster(roster(), OPERATOR))
    assert state.roster() == first


def test_another_models_roster_is_refused(state: DeviceState) -> None:
    state.accept_roster(sign_roster(roster(), OPERATOR))
    other = roster().changed([]).model_copy(update={"model": "other"})
    with pytest.raises(ConfigError, match="of model 'other'"):
        state.accept_roster(sign_roster(other, OPERATOR))


def test_another_operator_is_trusted_only_on_demand(state: DeviceState, tmp_path: Path) -> None:
    state.accept_roster(sign_roster(roster(), OPERATOR))
    other = make_operator(tmp_path / "operator")
    assert operator_public(tmp_path / "operator") == other.public
    with pytest.raises(ConfigError, match=f"trusts operator {OPERATOR.id} already"):
        state.trust(other.public)
    state.trust(OPERATOR.public)
    assert state.roster() is not None
    state.trust(other.public, replace=True)
    assert state.roster() is None
    with pytest.raises(ConfigError, match="signed by"):
        state.accept_roster(sign_roster(roster(), OPERATOR))
