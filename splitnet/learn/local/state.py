"""The optimiser's state from one round to the next, in a file that the device's user alone may read."""

import logging
from pathlib import Path

import numpy as np

from splitnet.learn.local.frame import pack, unpack
from splitnet.learn.local.optimiser import StepGraph, zeros
from splitnet.learn.vector import flatten, size, unflatten
from splitnet.tensors import Tensors
from splitnet.whole_file import write_whole

logger = logging.getLogger(__name__)

_NAME = "optimiser.state"


def read_state(folder: Path | None, graph: StepGraph) -> Tensors:
    """Return the state that the last round left, or zeros where there is none for this very step."""
    if folder is None or not (folder / _NAME).is_file():
        return zeros(graph.entry)
    try:
        header, vector = unpack((folder / _NAME).read_bytes())
        if header.get("step") == graph.entry.sha256:
            if vector.shape != (size(graph.entry.state),) or not np.isfinite(vector).all():
                raise ValueError("its values are not the step's")
            return unflatten(graph.entry.state, vector)
    except (OSError, ValueError) as err:
        logger.warning("%s: not readable, the optimiser starts anew: %s", folder / _NAME, err)
    return zeros(graph.entry)


def write_state(folder: Path | None, graph: StepGraph, state: Tensors) -> None:
    """Leave the state to the next round.

    Raises:
        OperatorError: the disk refuses.
    """
    if folder is not None:
        frame = pack({"step": graph.entry.sha256}, flatten(graph.entry.state, state))
        write_whole(frame, folder / _NAME, mode=0o600)
