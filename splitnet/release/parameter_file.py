"""Learned parameters from a file."""

from pathlib import Path

import numpy as np

from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.learn.vector import Vector
from splitnet.samples import DAMAGED


def read_parameters(path: Path) -> Vector:
    """Read float32 `[d]` from an `.npy` file.

    Raises:
        NotFoundError: there is no such file.
        InvalidArgumentError: it holds something else.
    """
    try:
        with path.open("rb") as file:
            found = np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except DAMAGED as err:
        raise InvalidArgumentError(
            f"{path}: not a readable .npy file: it is in another format, or damaged"
        ) from err
    if found.dtype != np.float32 or found.ndim != 1:
        raise InvalidArgumentError(f"{path}: expected float32 [d], got {found.dtype} {list(found.shape)}")
    return found
