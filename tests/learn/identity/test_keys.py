"""Keys on disk: whole, for their owner alone, never replaced; ids follow from the public key."""

import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import ConfigError, NotFoundError, OperatorError
from splitnet.learn.identity import DeviceKey, OperatorKey, device_id, read_passphrase
from splitnet.signing import is_signed


@pytest.mark.parametrize("kind", [DeviceKey, OperatorKey])
@pytest.mark.parametrize("passphrase", [None, b"correct horse"])
def test_a_key_comes_back(kind: type[DeviceKey | OperatorKey], passphrase: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    key = kind.generate()
    key.save(path, passphrase)
    again = kind.load(path, passphrase)
    assert (again.public, again.id, again.sign(b"m")) == (key.public, key.id, key.sign(b"m"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]
    assert (b"ENCRYPTED" in path.read_bytes()) == (passphrase is not None)


def test_an_id_is_the_beginning_of_the_digest() -> None:
    public = DeviceKey.generate().public
    assert device_id(public) == hashlib.sha256(public).hexdigest()[:16]


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    first = DeviceKey.generate()
    first.save(path)
    with pytest.raises(ConfigError, match=r"a\.key: there is a key already"):
        DeviceKey.generate().save(path)
    assert DeviceKey.load(path).id == first.id
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_needs_a_directory(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be written: No such file"):
        DeviceKey.generate().save(tmp_path / "none" / "a.key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_may_use_is_refused(mode: int, tmp_path: Path) -> None:
    path = tmp_path / "a.key"
    DeviceKey.generate().save(path)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=rf"mode {mode:04o}\).*chmod 600"):
        DeviceKey.load(path)


@pytest.mark.parametrize(
    ("saved", "given_", "says"),
    [
        (b"one", b"two", "the passphrase is another"),
        (b"one", None, "is encrypted: give its passphrase file"),
        (None, b"one", "is not encrypted: give no passphrase file"),
    ],
)
def test_a_wrong_passphrase_is_refused(
    saved: bytes | None, given_: bytes | None, says: str, tmp_path: Path
) -> None:
    DeviceKey.generate().save(tmp_path / "a.key", saved)
    with pytest.raises(ConfigError, match=says):
        DeviceKey.load(tmp_path / "a.key", given_)


def _private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


def test_what_is_no_ed25519_key_is_refused(tmp_path: Path) -> None:
    other = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(ConfigError, match="expected an Ed25519 key"):
        DeviceKey.load(_private(tmp_path / "x.key", other))
    with pytest.raises(ConfigError, match="damaged"):
        DeviceKey.load(_private(tmp_path / "cut.key", other[:40]))
    with pytest.raises(ConfigError, match="more than 4096 bytes"):
        DeviceKey.load(_private(tmp_path / "long.key", bytes(5000)))
    with pytest.raises(NotFoundError, match=r"none\.key: no such file"):
        DeviceKey.load(tmp_path / "none.key")


def test_a_passphrase_is_the_file_without_its_line_end(tmp_path: Path) -> None:
    assert read_passphrase(None) is None
    assert read_passphrase(_private(tmp_path / "p", b" two words \r\n")) == b" two words "
    with pytest.raises(ConfigError, match="empty"):
        read_passphrase(_private(tmp_path / "p", b"\n"))
    (tmp_path / "p").chmod(0o644)
    with pytest.raises(ConfigError, match="others may use it"):
        read_passphrase(tmp_path / "p")


@given(message=st.binary(max_size=64), flipped=st.integers(0, 8 * 64 - 1))
def test_one_wrong_bit_spoils_a_signature(message: bytes, flipped: int) -> None:
    key = DeviceKey.generate()
    signature = bytearray(key.sign(message))
    assert is_signed(message, bytes(signature), by=key.public)
    signature[flipped // 8] ^= 1 << flipped % 8
    assert not is_signed(message, bytes(signature), by=key.public)
    assert not is_signed(message + b"x", key.sign(message), by=key.public)
    assert not is_signed(message, key.sign(message), by=DeviceKey.generate().public)
    assert not is_signed(message, key.sign(message), by=key.public[:31])
