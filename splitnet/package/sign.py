"""Signing a package, once everything in it is what its manifest says."""

from pathlib import Path

from splitnet.errors import PackageError
from splitnet.package.entries import MANIFEST, SIGNATURE
from splitnet.package.reader import open_package
from splitnet.package.signature import signature_of
from splitnet.signing import SigningKey
from splitnet.whole_file import write_whole


def sign_package(path: Path, key: SigningKey) -> None:
    """Write `signature.json` into the package at `path`; one that is there is replaced.

    Raises:
        NotFoundError: there is no package.
        PackageError: it is damaged, or changes meanwhile.
        OperatorError: the disk refuses.
    """
    before = _manifest(path)
    open_package(path).check()
    if _manifest(path) != before:
        raise PackageError(f"{path}: changed while it was checked: sign it once it is whole")
    write_whole(signature_of(before, key), path / SIGNATURE)


def _manifest(path: Path) -> bytes:
    try:
        return (path / MANIFEST).read_bytes()
    except FileNotFoundError:
        return b""  # `open_package` says so better
    except OSError as err:
        raise PackageError(f"{path / MANIFEST}: cannot be read: {err.strerror}") from err
