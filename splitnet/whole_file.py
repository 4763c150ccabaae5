"""Writing a file beside its place and renaming it, so that none is ever half there."""

import os
import tempfile
from pathlib import Path

from splitnet.errors import OperatorError


def write_whole(content: bytes, path: Path, *, mode: int = 0o644) -> None:
    """Write `content` to `path` with the rights `mode`; a file that is there is replaced.

    Raises:
        OperatorError: the disk refuses; what was there is still there.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as err:
        raise OperatorError(f"{path}: cannot be written: {err.strerror}") from err
    beside = Path(name)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 -- a descriptor has no path
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        beside.chmod(mode)
        beside.replace(path)
        sync_directory(path.parent)
    except OSError as err:
        raise OperatorError(f"{path}: cannot be written: {err.strerror}") from err
    finally:
        beside.unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk: a power cut undoes a rename before that.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
