"""What two processes must not do at once."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splitnet.errors import OperatorError


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
