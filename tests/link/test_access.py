"""Who may do what: no name, model or action passes that no rule names."""

import fnmatch
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.config import AccessRule, CloudConfig, TlsConfig, load_config
from splitnet.errors import ConfigError, PermissionDeniedError
from splitnet.link.access import Access, Action, access_of, names_of

ACTIONS: tuple[Action, ...] = ("infer", "load", "read")
RULES = (
    AccessRule(names=("cam-*",), models=("pcb.edge",)),
    AccessRule(names=("release",), models=("pcb", "pcb.*"), load=True),
)


@pytest.mark.parametrize(
    ("name", "model", "allowed"),
    [
        ("cam-1", "pcb.edge", {"infer", "read"}),
        ("cam-", "pcb.edge", {"infer", "read"}),
        ("cam-1", "pcb.edge.0123456789ab", {"infer", "read"}),
        ("cam-1", "pcb.edge.0123456789xy", set()),
        ("cam-1", "pcb.edge.0123456789ab.0123456789ab", set()),
        ("cam-1", "pcb", set()),
        ("cam-1", "pcbxedge", set()),
        ("xcam-1", "pcb.edge", set()),
        ("CAM-1", "pcb.edge", set()),
        ("release", "pcb.cloud", {"infer", "load", "read"}),
        ("release", "pcb", {"infer", "load", "read"}),
        ("release\n", "pcb", set()),
        ("release", "other", set()),
        ("stranger", "pcb.edge", set()),
    ],
)
def test_a_rule_allows_what_it_names_and_nothing_else(name: str, model: str, allowed: set[Action]) -> None:
    access = Access(RULES)
    assert {action for action in ACTIONS if access.allows((name,), model=model, action=action)} == allowed
    for action in set(ACTIONS) - allowed:
        with pytest.raises(PermissionDeniedError) as refused:
            access.check((name,), model=model, action=action)
        assert name in str(refused.value)
        assert model in str(refused.value)
    for action in allowed:
        access.check((name,), model=model, action=action)


def test_any_name_of_a_certificate_counts_and_none_is_nobody() -> None:
    access = Access(RULES)
    assert access.allows(("other", "cam-2"), model="pcb.edge", action="infer")
    with pytest.raises(PermissionDeniedError, match="without a certificate"):
        access.check((), model="pcb.edge", action="infer")


def test_without_rules_every_certificate_calls_and_none_loads() -> None:
    access = Access(())
    assert access.allows(("any",), model="pcb", action="infer")
    assert access.allows(("any",), model="pcb", action="read")
    assert not access.allows(("any",), model="pcb", action="load")
    assert not access.allows((), model="pcb", action="infer")
    assert Access((), load_without_rules=True).allows(("any",), model="pcb", action="load")
    assert not Access(RULES, load_without_rules=True).allows(("cam-1",), model="pcb.edge", action="load")


_TEXTS = st.text(alphabet="ab*.[?\\", max_size=6)


@given(_TEXTS.filter(bool), _TEXTS)
def test_a_star_stands_for_any_run_and_nothing_else_is_special(pattern: str, name: str) -> None:
    literal = "".join(each if each == "*" else f"[{each}]" for each in pattern)
    allowed = Access([AccessRule(names=(pattern,))]).allows((name,), model="m", action="infer")
    assert allowed == fnmatch.fnmatchcase(name, literal)


@pytest.mark.parametrize("allow_load", [False, True])
def test_rules_need_certificates(*, allow_load: bool) -> None:
    options = {"package": Path("p"), "listen": "127.0.0.1:0", "allow_load": allow_load}
    plain = load_config(CloudConfig, None, options)
    assert access_of(plain) is None
    with pytest.raises(ConfigError, match="needs the table `tls`"):
        access_of(plain.model_copy(update={"access": RULES}))
    tls = TlsConfig(directory=Path("d"))
    access = access_of(plain.model_copy(update={"tls": tls}))
    assert access is not None
    assert access.allows(("any",), model="pcb", action="load") == allow_load
    access = access_of(plain.model_copy(update={"tls": tls, "access": RULES}))
    assert access is not None
    assert not access.allows(("any",), model="pcb", action="infer")


def test_names_are_dns_names_alone() -> None:
    found = (b"cam-1", b"cam-1.hall", b"10.0.0.1", b"::1")
    assert names_of({"x509_subject_alternative_name": found}) == ("cam-1", "cam-1.hall")
    assert names_of({}) == ()


def test_a_long_name_takes_no_longer_than_it_is_long() -> None:
    """With a regular expression this took minutes, and all callers waited."""
    access = Access([AccessRule(names=("*",), models=("*.line-*.edge",))])
    assert not access.allows(("cam-1",), model=".line-" * 200_000, action="infer")
    assert access.allows(("cam-1",), model=".line-" * 200_000 + ".edge", action="infer")
    with pytest.raises(PermissionDeniedError) as refused:
        access.check(("cam-1",), model="x" * 10**6, action="infer")
    assert len(str(refused.value)) < 300
