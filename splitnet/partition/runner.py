"""Running a model of any size: a small one stays open, a large one is opened piece by piece."""

from collections.abc import Sequence

import onnx_ir as ir

from splitnet.cost import run_ms
from splitnet.onnx_session import OnnxSession, Optimisation
from splitnet.partition.walk import Step, Steps
from splitnet.tensors import Tensors


class ModelRunner:
    """Runs a model any number of times.

    Attributes:
        in_pieces: whether it opens pieces in turn.
    """

    def __init__(
        self,
        model: ir.Model,
        *,
        name: str,
        piece_bytes: int | None,
        optimisation: Optimisation = "all",
        prepack: bool = True,
    ) -> None:
        """Prepare to run `model`.

        Args:
            model: with shapes recorded.
            name: what to call it in errors.
            piece_bytes: weights of a piece, bytes; None opens the whole on the first run and keeps it open.
            optimisation: how much onnxruntime may rewrite it.
            prepack: see OnnxSession.
        """
        self._name = name
        self._steps = Steps(model, piece_bytes=piece_bytes)
        self.in_pieces = self._steps.in_pieces
        self._optimisation = optimisation
        self._prepack = prepack
        self._kept: OnnxSession | None = None

    def run(self, feeds: Tensors) -> Tensors:
        """Run on one batch and return the outputs by name.

        Raises:
            ModelError: onnxruntime refuses the model, or it fails on these values.
            InvalidArgumentError: a tensor is missing or does not fit.
        """
        return self.run_each([feeds])[0]

    def run_each(self, batches: Sequence[Tensors]) -> list[Tensors]:
        """Run on several batches; each piece is opened once for all of them (see `run` for what is raised)."""
        if not batches:
            return []
        walk = self._steps.walk(batches)
        for step in walk:
            session = self._open(step)
            walk.carry([session.run(feeds) for feeds in step.feeds])
        return walk.answers

    def run_ms(self, feeds: Tensors) -> float:
        """Return the wall time in ms of one run that follows another, without the time to open pieces."""
        total_ms = 0.0
        walk = self._steps.walk([feeds])
        for step in walk:
            session = self._open(step)
            walk.carry([session.run(step.feeds[0])])
            total_ms += run_ms(session, step.feeds[0])
        return total_ms

    def _open(self, step: Step) -> OnnxSession:
        if self._kept is not None:
            return self._kept
        session = OnnxSession(
            step.source(), name=self._name, optimisation=self._optimisation, prepack=self._prepack
        )
        if not self.in_pieces:
            self._kept = session
        return session
