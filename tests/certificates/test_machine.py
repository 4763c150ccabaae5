"""A machine's directory: made, asked for from the machine, renewed, and refused where it does not fit together."""

import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from splitnet.certificates import (
    alternative_names,
    certify,
    make_request,
    read_certificates,
    read_machine,
    read_request,
    renew,
)
from splitnet.errors import ConfigError, NotFoundError
from tests.certificates.site import MONTH, authority, ended, machine, span

WHEN = span(timedelta(hours=-1), MONTH)


def test_a_directory_is_not_made_over_another(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    before = read_machine(machine(tmp_path, signer, "cloud").directory)
    with pytest.raises(ConfigError, match="keys renew"):
        machine(tmp_path, signer, "cloud")
    assert read_machine(tmp_path / "cloud") == before


def test_a_renewal_keeps_the_names_and_changes_the_key(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    directory = machine(tmp_path, signer, "cloud", validity=span(-MONTH, timedelta(days=1))).directory
    before = read_machine(directory)
    renew(directory, signer, WHEN)
    after = read_machine(directory)
    assert alternative_names("cloud", ["127.0.0.1", "localhost"]) == list(_names(directory))
    assert after.validity.end == WHEN.end > before.validity.end
    assert after.key_pem != before.key_pem


def test_what_has_ended_is_refused_and_can_be_renewed(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    directory = machine(tmp_path, signer, "cloud", validity=ended()).directory
    with pytest.raises(ConfigError, match=r"certificate.pem: ended on .* keys renew"):
        read_machine(directory)
    renew(directory, signer, WHEN)
    assert read_machine(directory).name == "cloud"
    early = machine(tmp_path, signer, "edge", validity=span(timedelta(days=1), MONTH)).directory
    with pytest.raises(ConfigError, match=r"begins on .* clock"):
        read_machine(early)


def test_nobody_elses_certificate_is_renewed(tmp_path: Path) -> None:
    directory = machine(tmp_path, authority(tmp_path), "cloud").directory
    before = read_machine(directory)
    with pytest.raises(ConfigError, match="not signed by the authority"):
        renew(directory, authority(tmp_path, "yard"), WHEN)
    assert read_machine(directory) == before
    with pytest.raises(ConfigError, match="keys certificate"):
        renew(tmp_path / "none", authority(tmp_path, "mill"), WHEN)


def test_a_key_that_never_leaves_its_machine(tmp_path: Path) -> None:
    signer = authority(tmp_path)
    request = make_request(tmp_path / "cam", "cam-1")
    secret = (tmp_path / "cam/private.key").read_bytes()
    public = read_request(request, name="cam-1")
    certify(tmp_path / "signed", signer, public=public, names=alternative_names("cam-1", ()), validity=WHEN)
    assert sorted(file.name for file in (tmp_path / "signed").iterdir()) == ["authority.pem", "certificate.pem"]
    with pytest.raises(ConfigError, match="keys renew"):
        certify(tmp_path / "signed", signer, public=public, names=alternative_names("x", ()), validity=WHEN)

    shutil.copytree(tmp_path / "signed", tmp_path / "cam", dirs_exist_ok=True)
    first = read_machine(tmp_path / "cam")
    renew(tmp_path / "signed", signer, span(timedelta(0), 2 * MONTH))  # the same key: the operator has no other
    shutil.copytree(tmp_path / "signed", tmp_path / "cam", dirs_exist_ok=True)
    second = read_machine(tmp_path / "cam")
    assert (first.key_pem, second.key_pem) == (secret, secret)
    assert second.validity.end > first.validity.end

    make_request(tmp_path / "cam", "cam-1")  # again, for the key that is there
    assert read_request(request, name="cam-1") == public
    assert read_machine(tmp_path / "cam") == second


def test_a_request_of_another_name_or_altered_is_refused(tmp_path: Path) -> None:
    request = make_request(tmp_path, "cam-1")
    with pytest.raises(ConfigError, match="a request of 'cam-1', not of 'cloud'"):
        read_request(request, name="cloud")
    altered = bytearray(x509.load_pem_x509_csr(request.read_bytes()).public_bytes(Encoding.DER))
    altered[-1] ^= 1  # the end of the signature
    request.write_bytes(x509.load_der_x509_csr(bytes(altered)).public_bytes(Encoding.PEM))
    with pytest.raises(ConfigError, match="not signed by its own key"):
        read_request(request, name="cam-1")
    request.write_text("no request")
    with pytest.raises(ConfigError, match="not a request"):
        read_request(request, name="cam-1")
    with pytest.raises(NotFoundError):
        read_request(tmp_path / "none.pem", name="cam-1")


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    signer, other = authority(tmp_path), authority(tmp_path, "yard")
    cloud, edge = (machine(tmp_path, signer, name).directory for name in ("cloud", "edge"))
    shutil.copy(edge / "private.key", cloud / "private.key")
    with pytest.raises(ConfigError, match="is not the key of"):
        read_machine(cloud)
    (edge / "authority.pem").write_bytes(other.bundle)
    with pytest.raises(ConfigError, match="not signed by any authority"):
        read_machine(edge)


@pytest.mark.parametrize("name", ["authority.pem", "certificate.pem", "private.key"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"x" * 100_000])
def test_damaged_and_missing_files_are_named(tmp_path: Path, name: str, content: bytes) -> None:
    directory = machine(tmp_path, authority(tmp_path), "cloud").directory
    (directory / name).write_bytes(content)
    with pytest.raises(ConfigError, match=name):
        read_machine(directory)
    (directory / name).unlink()
    with pytest.raises(ConfigError, match=rf"{name}: no such file.*keys certificate"):
        read_machine(directory)


def _names(directory: Path) -> list[x509.GeneralName]:
    (certificate,), _ = read_certificates(directory / "certificate.pem")
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
