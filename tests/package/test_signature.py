"""Signed packages: what was altered, unsigned or signed by somebody else is refused before it is believed."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import ConfigError, NotFoundError, PackageError
from splitnet.package import open_package, read_manifest, write_package
from splitnet.package.sign import sign_package
from splitnet.package.signature import check_signature, signature_of
from splitnet.signing import OperatorKey, make_operator, write_public_key
from tests.package.strategies import example


@pytest.fixture
def key(tmp_path: Path) -> OperatorKey:
    return make_operator(tmp_path / "operator")


@pytest.fixture
def package(tmp_path: Path, key: OperatorKey) -> Path:
    """A signed package, beside the operator's directory."""
    content = example()
    write_package(tmp_path / "p.split", content.manifest, content.files)
    sign_package(tmp_path / "p.split", key)
    return tmp_path / "p.split"


def test_a_signed_package_opens_with_its_operators_key(package: Path, tmp_path: Path) -> None:
    for public in (tmp_path / "operator", tmp_path / "operator/operator.pub"):
        opened = open_package(package, public)
        assert opened == open_package(package)
        assert opened.check() > 0


def _same(document: bytes) -> bytes:
    """Write the same values another way: what is signed are bytes."""
    return json.dumps(json.loads(document)).encode()


def _longer(document: bytes) -> bytes:
    return document + b" "


def _other_threshold(document: bytes) -> bytes:
    return document.replace(b'"threshold": 0.', b'"threshold": 0.0')


@pytest.mark.parametrize("alter", [_same, _longer, _other_threshold, lambda _: b"{}", lambda _: b"\xff not json"])
def test_an_altered_manifest_is_refused_before_it_is_read(
    package: Path, tmp_path: Path, alter: Callable[[bytes], bytes]
) -> None:
    manifest = package / "manifest.json"
    before = manifest.read_bytes()
    manifest.write_bytes(alter(before))
    assert manifest.read_bytes() != before
    with pytest.raises(PackageError, match="altered since it was signed"):
        open_package(package, tmp_path / "operator")


def test_an_altered_file_is_refused_by_the_signed_digest(package: Path, tmp_path: Path) -> None:
    opened = open_package(package, tmp_path / "operator")
    segment = opened.manifest.segments[0]
    content = bytearray((package / segment.file).read_bytes())
    content[0] ^= 1
    (package / segment.file).write_bytes(content)
    with pytest.raises(PackageError, match="altered or damaged"):
        opened.read_file(segment)


def test_the_signature_must_be_there_whole_and_of_the_key(package: Path, tmp_path: Path, key: OperatorKey) -> None:
    signature, public = package / "signature.json", tmp_path / "operator"
    signed = signature.read_bytes()
    other = OperatorKey.generate()
    signature.write_bytes(signature_of((package / "manifest.json").read_bytes(), other))
    with pytest.raises(PackageError, match=f"signed by {other.id}, not by {key.id}"):
        open_package(package, public)
    forged = json.loads(signature.read_bytes()) | {"key": key.public.hex()}
    signature.write_text(json.dumps(forged))
    with pytest.raises(PackageError, match="altered since it was signed"):
        open_package(package, public)
    for damaged in (b"", b"{}", b"[" * 4000, signed[:-9], signed + b" " * 5000, b"\xff"):
        signature.write_bytes(damaged)
        with pytest.raises(PackageError, match=r"signature\.json"):
            open_package(package, public)
    signature.write_bytes(signed.replace(b"package/1", b"package/2"))
    with pytest.raises(PackageError, match="expected format 'splitnet/package/1'"):
        open_package(package, public)
    signature.unlink()
    with pytest.raises(PackageError, match=r"not signed.*keys sign"):
        open_package(package, public)
    open_package(package)  # where no key is asked for


def test_a_package_that_is_replaced_is_unsigned(package: Path, tmp_path: Path) -> None:
    anew = example(b" anew")
    write_package(package, anew.manifest, anew.files)
    with pytest.raises(PackageError, match="not signed"):
        open_package(package, tmp_path / "operator")


def test_only_what_is_whole_is_signed(package: Path, key: OperatorKey, tmp_path: Path) -> None:
    before = (package / "signature.json").read_bytes()
    segment = package / open_package(package).manifest.segments[0].file
    segment.write_bytes(segment.read_bytes() + b"x")
    with pytest.raises(PackageError, match="bytes, but the manifest says"):
        sign_package(package, key)
    assert (package / "signature.json").read_bytes() == before
    with pytest.raises(NotFoundError, match="not a package"):
        sign_package(tmp_path / "none", key)


def test_a_key_that_is_none_is_the_operators_mistake(package: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        read_manifest(package, tmp_path / "none.pub")
    with pytest.raises(ConfigError, match="not a public key"):
        read_manifest(package, package / "signature.json")


@given(manifest=st.binary(max_size=64), other=st.binary(max_size=64))
def test_a_signature_holds_for_its_bytes_alone(
    tmp_path_factory: pytest.TempPathFactory, manifest: bytes, other: bytes
) -> None:
    folder = tmp_path_factory.mktemp("signed")
    key = OperatorKey.generate()
    write_public_key(key.public, folder / "operator.pub")
    (folder / "signature.json").write_bytes(signature_of(manifest, key))
    check_signature(folder, manifest, folder / "operator.pub")
    if manifest != other:
        with pytest.raises(PackageError):
            check_signature(folder, other, folder / "operator.pub")
