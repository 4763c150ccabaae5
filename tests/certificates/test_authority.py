"""The authority: what it signs, and how it is renewed while every machine goes on trusting every other."""

import stat
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import ExtendedKeyUsageOID

from splitnet.certificates import (
    Authority,
    Validity,
    alternative_names,
    begin_renewal,
    describe_certificate,
    end_renewal,
    read_machine,
    renew,
    switch_key,
)
from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError
from tests.certificates.site import ADDRESSES, MONTH, authority, ended, machine, span


def test_an_authority_signs_machines_and_nothing_below_them(tmp_path: Path) -> None:
    made = authority(tmp_path).certificate
    constraints = made.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
    usage = made.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_cert_sign
    assert not usage.value.digital_signature


def test_a_machines_certificate_serves_and_calls_under_its_names_alone(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    made = read_machine(machine(tmp_path, signer, "cloud").directory).certificate
    assert made.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    purposes = list(made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    assert purposes == [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    seen = describe_certificate(made)
    assert (seen.name, seen.names, seen.addresses) == ("cloud", ("cloud", "localhost"), ("127.0.0.1",))
    assert (seen.issuer, seen.authority) == ("hall authority", False)
    assert seen.sha256 == made.fingerprint(SHA256()).hex()
    made.verify_directly_issued_by(signer.certificate)


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    directory = machine(tmp_path, signer, "cloud").directory
    for secret in (signer.directory / "authority.key", directory / "private.key"):
        assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert stat.S_IMODE(signer.directory.stat().st_mode) == 0o700
    (directory / "private.key").chmod(0o640)
    with pytest.raises(ConfigError, match="others may use it"):
        read_machine(directory)


def test_an_authority_is_read_as_it_was_made_and_never_replaced(tmp_path: Path) -> None:
    made = authority(tmp_path)
    read = Authority.load(made.directory)
    assert (read.certificate, read.site, read.bundle) == (made.certificate, "hall", made.bundle)
    with pytest.raises(ConfigError, match="is there already"):
        Authority.make(made.directory, site="yard", validity=span(timedelta(0), MONTH))
    assert Authority.load(made.directory).certificate == made.certificate


def test_a_passphrase_is_asked_for(tmp_path: Path) -> None:
    when = span(timedelta(0), MONTH)
    Authority.make(tmp_path / "site", site="hall", validity=when, passphrase=b"of the operator")
    assert Authority.load(tmp_path / "site", b"of the operator").site == "hall"
    with pytest.raises(ConfigError, match="is encrypted"):
        Authority.load(tmp_path / "site")
    with pytest.raises(ConfigError, match="the passphrase is another"):
        Authority.load(tmp_path / "site", b"of somebody")


def test_no_certificate_outlives_its_authority(tmp_path: Path) -> None:
    when = span(-MONTH, timedelta(days=2))
    signer = Authority.make(tmp_path / "site", site="hall", validity=when)
    made = read_machine(machine(tmp_path, signer, "cloud").directory)
    assert made.validity.end == when.end
    late = Authority.make(tmp_path / "late", site="hall", validity=ended())
    with pytest.raises(InvalidArgumentError, match="authority's own certificate ended"):
        machine(tmp_path, late, "edge")
    assert not (tmp_path / "edge").exists()


def test_the_steps_of_a_renewal(tmp_path: Path) -> None:
    first = authority(tmp_path)
    cloud = machine(tmp_path, first, "cloud").directory
    when = span(timedelta(0), 24 * MONTH)

    begun = begin_renewal(first, when)
    assert (begun.certificate, len(begun.trusted)) == (first.certificate, 2)
    with pytest.raises(ConfigError, match="a renewal is under way"):
        begin_renewal(begun, when)
    with pytest.raises(InvalidArgumentError, match="switch first"):
        end_renewal(begun)
    renew(cloud, begun, span(timedelta(0), MONTH))
    assert (cloud / "authority.pem").read_bytes().count(b"BEGIN CERTIFICATE") == 2
    read_machine(cloud).certificate.verify_directly_issued_by(first.certificate)

    switched = switch_key(Authority.load(first.directory))
    assert switched.certificate != first.certificate
    assert Authority.load(first.directory).certificate == switched.certificate
    with pytest.raises(InvalidArgumentError, match="no renewal was begun"):
        switch_key(switched)
    renew(cloud, switched, span(timedelta(0), MONTH))  # the one before issued it: it is still known
    read_machine(cloud).certificate.verify_directly_issued_by(switched.certificate)

    done = end_renewal(switched)
    assert done.trusted == (switched.certificate,)
    assert done.bundle == (first.directory / "authority.pem").read_bytes()


def test_the_bundle_leaves_out_who_has_ended(tmp_path: Path) -> None:
    old = Authority.make(tmp_path / "site", site="hall", validity=ended())
    switched = switch_key(begin_renewal(old, span(timedelta(0), MONTH)))
    assert len(switched.trusted) == 2
    assert x509.load_pem_x509_certificates(switched.bundle) == [switched.certificate]


def test_a_missing_or_mixed_authority_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="keys authority"):
        Authority.load(tmp_path / "none")
    one, other = authority(tmp_path), authority(tmp_path, "yard")
    (one.directory / "authority.pem").write_bytes(other.bundle)
    with pytest.raises(ConfigError, match="two authorities are mixed"):
        Authority.load(one.directory)


@pytest.mark.parametrize(
    "name", ["", "Cloud", "*.hall", "cam_1", "-a", "a-", "a..b", "a b", "a" * 65, "a\nb", "é"]
)
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match="expected up to 64"):
        alternative_names(name, ())


@pytest.mark.parametrize("address", ["", "*", "*.hall", "10.0.0.1:8001", "http://a", "a" * 64, "300.0.0.1/8"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(InvalidArgumentError, match="address"):
        alternative_names("cloud", [address])


def test_names_are_borne_once_with_the_machines_own_first() -> None:
    names = alternative_names("cloud", [*ADDRESSES, "cloud", "::1", "127.0.0.1"])
    assert [str(name.value) for name in names] == ["cloud", "127.0.0.1", "localhost", "::1"]
    with pytest.raises(InvalidArgumentError, match="at most 32"):
        alternative_names("cloud", [f"10.0.0.{i}" for i in range(33)])


@pytest.mark.parametrize("days", [0, -1, 1e12])
def test_what_is_no_span(days: float) -> None:
    with pytest.raises(InvalidArgumentError, match="days"):
        Validity.from_now(days=days)
