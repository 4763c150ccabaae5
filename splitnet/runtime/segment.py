"""A segment as a tier runs it: a session, at an emulated speed where that is asked for."""

import logging

from splitnet.errors import InvalidArgumentError, UnavailableError
from splitnet.onnx_session import CPU, OnnxModel, OnnxSession, Optimisation, OptimisedFile
from splitnet.runtime.emulation import slowed
from splitnet.tensors import Tensors

logger = logging.getLogger(__name__)


class Segment:
    """A loaded ONNX segment; thread-safe.

    Attributes:
        name: its id in the package.
    """

    def __init__(
        self,
        model: OnnxModel,
        *,
        name: str,
        optimisation: Optimisation = "all",
        emulated_speed: float | None = None,
        provider: str = CPU,
        optimised: OptimisedFile | None = None,
    ) -> None:
        """Load an ONNX model.

        Args:
            model: the ONNX file, as a package's `read_segment` returns it.
            name: what to call it in errors.
            optimisation: how much onnxruntime may rewrite it.
            emulated_speed: run at this fraction of this machine's speed, by sleeping for the rest of the
                scaled CPU time of each run; None runs at full speed.
            provider: what computes it, by its short name (see `OnnxSession`).
            optimised: where the model is kept as optimised for this machine; None keeps it nowhere.

        Raises:
            ModelError: onnxruntime refuses the model.
            ConfigError: this onnxruntime does not have the provider.
        """
        self.name = name
        self._session: OnnxSession | None = OnnxSession(
            model,
            name=f"segment {name!r}",
            optimisation=optimisation,
            provider=provider,
            optimised=optimised,
        )
        self._emulated_speed = emulated_speed

    def run(self, tensors: Tensors) -> Tensors:
        """Run once on the tensors that the segment takes (others are ignored) and return its outputs by name.

        Raises:
            InvalidArgumentError: the model cannot compute on these values; the log says why.
            ModelError: the model fails.
            UnavailableError: the segment is closed.
        """
        session = self._session
        if session is None:
            raise UnavailableError("shutting down")
        try:
            if self._emulated_speed is None:
                return session.run(tensors)
            # The one compute thread is this one, so its CPU time is the whole of the run's.
            with slowed(self._emulated_speed):
                return session.run(tensors)
        except InvalidArgumentError as err:
            # onnxruntime's text tells of the inside of the model, and this one may go to a peer.
            logger.warning("%s", err)
            raise InvalidArgumentError("the model cannot compute on these values") from err

    def close(self) -> None:
        """Free the model, whoever still refers to this; a run that is under way keeps it until it ends."""
        self._session = None
