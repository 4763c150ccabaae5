"""What a power cut must not undo, and what two processes must not do at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splitnet.errors import OperatorError
from splitnet.whole_file import write_whole


def sync_directory(path: Path) -> None:
    """Bring the names in a directory to the disk: after a power cut, a rename is done only then."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_durably(content: bytes, path: Path) -> None:
    """Replace a file, and return when a power cut no longer brings the old one back.

    Raises:
        OperatorError: the disk refuses.
    """
    write_whole(content, path)
    sync_directory(path.parent)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold a directory against other processes and threads that do the same; it is left as it is.

    Raises:
        OperatorError: there is no such directory, or it cannot be locked.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as err:
        raise OperatorError(f"{directory}: cannot be locked: {err.strerror}") from err
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)  # which gives the lock back
