"""What a caller asks of a session, checked before anything is computed."""

from collections.abc import Mapping

import numpy as np

from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError
from splitnet.package import Manifest
from splitnet.tensors import Array, Tensors

# As in the configuration; an infinite one would be nobody's deadline.
_LONGEST_DEADLINE_MS = 3_600_000
# What the protocol's `priority` can say.
_LOWEST_PRIORITY = 2**32 - 1

#: The model's inputs by name, or the one input itself.
Inputs = Array | Mapping[str, Array]


def named(inputs: Inputs, manifest: Manifest) -> Tensors:
    """Return the inputs by name; their shapes and dtypes are checked where they are computed with.

    Raises:
        InvalidArgumentError: one array for a model of several inputs, or something else than arrays.
    """
    if not isinstance(inputs, Mapping):
        names = [entry.name for entry in manifest.model.inputs]
        if len(names) != 1:
            raise InvalidArgumentError(f"the model has inputs {names}; pass a mapping by name")
        inputs = {names[0]: inputs}
    for name, array in inputs.items():
        if not isinstance(array, np.ndarray):
            raise InvalidArgumentError(f"input {name!r}: expected a numpy array, got {type(array).__name__}")
    return dict(inputs)


def due_after(deadline_ms: float) -> Deadline:
    """Return the deadline that many milliseconds from now.

    Raises:
        InvalidArgumentError: out of range.
    """
    if not 0 < deadline_ms <= _LONGEST_DEADLINE_MS:
        raise InvalidArgumentError(
            f"deadline_ms: expected more than 0, at most {_LONGEST_DEADLINE_MS}; got {deadline_ms!r}"
        )
    return Deadline.after_ms(deadline_ms)


def check_priority(priority: int) -> None:
    """Refuse here what a tier above would, where it looked as if that tier had failed.

    Raises:
        InvalidArgumentError: out of range.
    """
    if not 0 <= priority <= _LOWEST_PRIORITY or priority != int(priority):
        raise InvalidArgumentError(
            f"priority: expected a whole number of 0 to {_LOWEST_PRIORITY}, got {priority!r}"
        )
