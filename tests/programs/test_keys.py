"""`splitnet keys` as people and scripts use it: from two new keys to a signed roster that a device accepts."""

import json
from pathlib import Path

import pytest

from splitnet.errors import ConfigError
from splitnet.learn.identity import DeviceState, load_roster, operator_public
from tests.programs.processes import Finished, run


def keys(folder: Path, *arguments: str) -> Finished:
    """Run a command of `splitnet keys`; words that begin with @ are paths in the folder."""
    return run("keys", *(str(folder / each[1:]) if each[0] == "@" else each for each in arguments))


def ok(done: Finished) -> str:
    assert (done.code, done.err) == (0, "")
    return done.out


def refused(done: Finished, code: int) -> str:
    assert (done.code, done.out) == (code, "")
    (line,) = done.err.splitlines()
    assert line.startswith("splitnet: ")
    return line


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an operator, two devices and the roster of both."""
    folder = tmp_path_factory.mktemp("fleet")
    (folder / "secret").write_text("of the operator\n")
    (folder / "secret").chmod(0o600)
    made = keys(folder, "operator", "-o", "@operator", "--passphrase-file", "@secret", "--json").json
    assert Path(made["public_key"]) == folder / "operator/operator.pub"
    for name, site in (("cam-1", "hall"), ("cam-2", "yard")):
        made = keys(folder, "device", "-o", f"@{name}", "--name", name, "--site", site, "--json").json
        assert (made["name"], made["site"]) == (name, site)
        assert Path(made["enrolment"]) == folder / name / f"{name}.enrolment.json"
    enrolments = [f"@{name}/{name}.enrolment.json" for name in ("cam-1", "cam-2")]
    signed = ["--operator", "@operator", "--passphrase-file", "@secret", "--roster", "@roster.json"]
    out = ok(keys(folder, "enrol", *enrolments, *signed, "--model", "pcb"))
    assert out == f"{folder / 'roster.json'}: version 1 with 2 devices\n"
    return folder


def test_a_device_accepts_the_roster_of_the_operator_it_trusts(fleet: Path) -> None:
    state = DeviceState(fleet / "cam-1")
    document = (fleet / "roster.json").read_bytes()
    with pytest.raises(ConfigError, match="trusts no operator yet"):
        state.accept_roster(document)
    assert "trusts operator" in ok(keys(fleet, "trust", "@operator/operator.pub", "--state", "@cam-1"))
    roster = state.accept_roster(document)
    assert roster.sites == {DeviceState(fleet / name).key().id: site for name, site in _SITES.items()}
    entry = roster.find(state.key().id)
    assert entry is not None
    assert entry.public_key == state.key().public


_SITES = {"cam-1": "hall", "cam-2": "yard"}


def test_the_roster_is_shown(fleet: Path) -> None:
    shown = keys(fleet, "list", "--roster", "@roster.json", "--operator", "@operator", "--json").json
    assert [(shown["model"], len(shown["devices"]))] == [("pcb", 2)]
    table = ok(keys(fleet, "list", "--roster", "@roster.json"))
    assert all(each["id"] in table and each["site"] in table for each in shown["devices"])


def test_enrol_again_move_and_revoke(fleet: Path) -> None:
    signed = ["--operator", "@operator", "--passphrase-file", "@secret", "--roster", "@copy.json", "--json"]
    (fleet / "copy.json").write_bytes((fleet / "roster.json").read_bytes())
    same = keys(fleet, "enrol", "@cam-1/cam-1.enrolment.json", *signed).json
    assert (same["version"], same["devices"]) == (1, 2)
    moved = keys(fleet, "enrol", "@cam-1/cam-1.enrolment.json", "--site", "roof", *signed).json
    assert (moved["version"], moved["devices"]) == (2, 2)
    revoked = keys(fleet, "revoke", moved["ids"][0], *signed).json
    assert (revoked["version"], revoked["devices"]) == (3, 1)
    roster = load_roster(fleet / "copy.json", operator_public(fleet / "operator"))
    assert [entry.name for entry in roster.devices] == ["cam-2"]


def test_mistakes_are_one_line_and_change_nothing(fleet: Path, tmp_path: Path) -> None:
    signed = ["--operator", "@operator", "--passphrase-file", "@secret"]
    before = {path: path.read_bytes() for path in fleet.rglob("*") if path.is_file()}
    assert "there is a key already" in refused(keys(fleet, "operator", "-o", "@operator"), 3)
    enrolment = "@cam-1/cam-1.enrolment.json"
    line = refused(keys(fleet, "enrol", enrolment, *signed, "--roster", str(tmp_path / "new.json")), 2)
    assert "--model NAME" in line
    line = refused(keys(fleet, "enrol", enrolment, "--operator", "@operator", "--roster", "@roster.json"), 3)
    assert "is encrypted: give its passphrase file" in line
    line = refused(keys(fleet, "revoke", "0" * 16, *signed, "--roster", "@roster.json"), 2)
    assert "no device 0000000000000000" in line
    ok(keys(tmp_path, "operator", "-o", "@other"))
    line = refused(keys(fleet, "list", "--roster", "@roster.json", "--operator", str(tmp_path / "other")), 3)
    assert "not by" in line
    line = refused(
        keys(fleet, "enrol", enrolment, "--operator", str(tmp_path / "other"), "--roster", "@roster.json"), 3
    )
    assert "signed by" in line
    assert before == {path: path.read_bytes() for path in fleet.rglob("*") if path.is_file()}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other"]


def test_an_altered_enrolment_is_refused(fleet: Path, tmp_path: Path) -> None:
    altered = json.loads((fleet / "cam-2/cam-2.enrolment.json").read_text())
    altered["content"]["site"] = "hall"
    (tmp_path / "altered.json").write_text(json.dumps(altered))
    signed = ["--operator", "@operator", "--passphrase-file", "@secret", "--roster", "@roster.json"]
    line = refused(keys(fleet, "enrol", str(tmp_path / "altered.json"), *signed), 3)
    assert "altered since it was signed" in line
