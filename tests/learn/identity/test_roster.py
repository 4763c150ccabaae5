"""The roster: what the operator signed comes back, and nothing else does."""

import hashlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import ConfigError
from splitnet.learn.identity import DeviceKey, OperatorKey, Roster, RosterEntry, read_roster, sign_roster
from splitnet.learn.identity.signed import sign_document
from splitnet.signing import is_signed
from tests.learn.identity.fleets import entry, roster

OPERATOR = OperatorKey.generate()
ROSTER = roster(3)
DOCUMENT = sign_roster(ROSTER, OPERATOR)


def test_what_was_signed_comes_back() -> None:
    assert read_roster(DOCUMENT, OPERATOR.public) == ROSTER
    assert read_roster(DOCUMENT, None) == ROSTER
    first = ROSTER.devices[0]
    assert ROSTER.find(first.id) == first
    assert ROSTER.find("0" * 16) is None
    assert ROSTER.keys[first.id] == first.public_key
    assert set(ROSTER.sites.values()) == {"hall"}


def test_the_signed_bytes_are_as_documented() -> None:
    """docs/identities.md, computed here without the code."""
    file = json.loads(DOCUMENT)
    content = json.dumps(file["content"], sort_keys=True, separators=(",", ":")).encode("ascii")
    assert set(file) == {"format", "content", "key", "signature"}
    assert is_signed(
        b"splitnet/roster/1\n" + content, bytes.fromhex(file["signature"]), by=bytes.fromhex(file["key"])
    )
    assert ROSTER.digest == hashlib.sha256(content).digest()


@given(place=st.integers(0, len(DOCUMENT) - 1), bit=st.integers(0, 7))
def test_an_altered_roster_is_refused_or_says_the_same(place: int, bit: int) -> None:
    altered = bytearray(DOCUMENT)
    altered[place] ^= 1 << bit
    try:
        read = read_roster(bytes(altered), OPERATOR.public)
    except ConfigError:
        return
    assert read == ROSTER  # only white space, or another way to write the same


@given(end=st.integers(0, len(DOCUMENT) - 2))
def test_a_truncated_roster_is_refused(end: int) -> None:
    with pytest.raises(ConfigError, match="not a signed document"):
        read_roster(DOCUMENT[:end], OPERATOR.public)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(repr))
def test_rubbish_is_refused(rubbish: bytes | str) -> None:
    with pytest.raises(ConfigError):
        read_roster(rubbish.encode() if isinstance(rubbish, str) else rubbish, OPERATOR.public)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(ConfigError):
        read_roster(b"[" * 200_000, OPERATOR.public)


def test_another_operators_roster_is_refused() -> None:
    other = OperatorKey.generate()
    with pytest.raises(ConfigError, match=f"signed by {other.id}, not by {OPERATOR.id}"):
        read_roster(sign_roster(ROSTER, other), OPERATOR.public)


def test_a_swapped_key_in_the_document_does_not_help() -> None:
    forged = json.loads(sign_roster(ROSTER, OperatorKey.generate())) | {"key": OPERATOR.public.hex()}
    with pytest.raises(ConfigError, match=r"the signature of .* does not fit"):
        read_roster(json.dumps(forged).encode(), OPERATOR.public)


def test_an_older_version_is_refused() -> None:
    newer = ROSTER.changed(ROSTER.devices[:2])
    assert newer.version == 2
    assert read_roster(sign_roster(newer, OPERATOR), OPERATOR.public, least_version=2) == newer
    with pytest.raises(ConfigError, match="version 1 is older than version 2"):
        read_roster(DOCUMENT, OPERATOR.public, least_version=2)


def test_another_kind_of_document_is_no_roster() -> None:
    """A device's own signature over the content of a roster is for an enrolment, even if its key were trusted."""
    key = DeviceKey.generate()
    other = sign_document("enrolment/1", ROSTER.model_dump(mode="json"), key)
    with pytest.raises(ConfigError, match="expected format 'splitnet/roster/1'"):
        read_roster(other, key.public)
    renamed = json.loads(other) | {"format": "splitnet/roster/1"}
    with pytest.raises(ConfigError, match="does not fit"):
        read_roster(json.dumps(renamed).encode(), key.public)


def _content() -> dict[str, Any]:
    return ROSTER.model_dump(mode="json")


def _twice() -> dict[str, Any]:
    content = _content()
    return content | {"devices": [content["devices"][0], *content["devices"]]}


def _changed(**fields: object) -> dict[str, Any]:
    content = _content()
    content["devices"][1] |= fields
    return content


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (_twice(), "in order of their ids, each once"),
        (_content() | {"devices": _content()["devices"][::-1]}, "in order of their ids"),
        (_changed(name="cam-0"), None),
        (_changed(id="0" * 16), "does not belong to its key"),
        (_changed(public_key=DeviceKey.generate().public.hex()), "does not belong to its key"),
        (_changed(public_key=ROSTER.devices[1].public_key.hex().upper()), "lower-case hexadecimal"),
        (_changed(name="a b"), r"devices\[1\]\.name: "),
        (_changed(site=""), r"devices\[1\]\.site: "),
        (_changed(admin=1), r"devices\[1\]\.admin: "),
        (_content() | {"version": 0}, "version"),
        (_content() | {"version": True}, "version"),
        (_content() | {"version": "1"}, "version"),
        (_content() | {"model": "a/b"}, "model"),
        ({"model": "pcb", "version": 1}, "devices"),
    ],
)
def test_a_malformed_roster_is_refused_though_it_is_signed(content: dict[str, Any], says: str | None) -> None:
    if says is None:  # a name that another has
        taken = next(each["name"] for each in content["devices"][::2])
        content["devices"][1]["name"] = taken
        says = "two devices have the same name"
    with pytest.raises(ConfigError, match=says):
        read_roster(sign_document("roster/1", content, OPERATOR), OPERATOR.public)


def test_two_devices_have_two_names() -> None:
    with pytest.raises(ConfigError, match="two devices have the same name"):
        Roster.first("pcb", [entry("cam"), entry("cam")])


def test_order_does_not_matter_when_a_roster_is_made() -> None:
    assert Roster.first("pcb", ROSTER.devices[::-1]) == ROSTER


def test_an_entry_has_the_id_of_its_key() -> None:
    with pytest.raises(ValueError, match="does not belong to its key"):
        RosterEntry(id="0" * 16, public_key=DeviceKey.generate().public, name="a", site="b")
