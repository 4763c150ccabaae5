"""Where a job stands after a round, as one file."""

import io
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import ConfigError
from splitnet.learn.strategy import ServerState
from splitnet.learn.vector import Vector

_PARAMETERS = "parameters"
_ROUNDS = "rounds"


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A job after a round.

    Attributes:
        rounds: that are done.
        parameters: after them, float32 `[d]`.
        state: of the server's optimiser.
    """

    rounds: int
    parameters: Vector
    state: ServerState = field(default_factory=ServerState)

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        tensors: dict[str, Any] = {_ROUNDS: np.int64(self.rounds), _PARAMETERS: self.parameters}
        content = io.BytesIO()
        np.savez(content, allow_pickle=False, **tensors, **self.state.to_tensors())
        return content.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Checkpoint":
        """Read what `to_bytes` wrote.

        Raises:
            ConfigError: it is damaged.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                tensors: dict[str, NDArray[Any]] = dict(arrays)
            rounds, parameters = int(tensors.pop(_ROUNDS)), tensors.pop(_PARAMETERS)
        except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as err:
            raise ConfigError("checkpoint: damaged: begin the job anew in another folder") from err
        return cls(rounds, parameters, ServerState.from_tensors(tensors))
