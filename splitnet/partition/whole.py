"""The whole model and its samples: what it answers, what is inside on the way, and what it costs."""

from collections.abc import Callable, Collection, Iterator

import numpy as np
import onnx_ir as ir

from splitnet.cost import NodeTensors, Profile, profile_model
from splitnet.graph import quantised_tensors
from splitnet.graph.values import name_of, reads
from splitnet.onnx_session import OnnxSession, Optimisation
from splitnet.partition.observe import observe_shapes
from splitnet.partition.runner import ModelRunner
from splitnet.partition.walk import WHOLE_BYTES, Steps, piece_bytes_for
from splitnet.samples import Samples
from splitnet.tensors import Tensors

_NAME = "the whole model"

# Samples of a batch, and of all batches that go through the pieces of a large model together.
_BATCH = 64
_BATCH_IN_PIECES = 8
_TOGETHER = 4


class WholeModel:
    """A model that is not cut, with samples for it.

    Attributes:
        model: with the shapes of all its tensors recorded.
        samples: what it is run on.
        piece_bytes: weights of the pieces that it is run in, bytes; None runs it at once.
    """

    def __init__(self, model: ir.Model, samples: Samples, *, whole_bytes: int = WHOLE_BYTES) -> None:
        """Observe the shapes in `model`, and record them there.

        Args:
            model: as `load_model` returns it; changed in place.
            samples: for all its inputs.
            whole_bytes: with more weights than this it runs in pieces.

        Raises:
            ModelError: the model cannot be run.
            InvalidArgumentError: the samples do not fit it.
        """
        self.model = model
        self.samples = samples
        self.piece_bytes = piece_bytes_for(model, whole_bytes=whole_bytes)
        observe_shapes(model, samples, piece_bytes=self.piece_bytes)
        # A cut between a DequantizeLinear and the next QuantizeLinear changes answers, unless all stays as it is.
        in_pieces = self.piece_bytes is not None
        self._optimisation: Optimisation = "none" if in_pieces and quantised_tensors(model) else "all"

    def answers(self, count: int) -> Tensors:
        """Return what the model answers to the first `count` samples, samples along axis 0."""
        runner = ModelRunner(
            self.model,
            name=_NAME,
            piece_bytes=self.piece_bytes,
            optimisation=self._optimisation,
            prepack=self.piece_bytes is None,
        )
        batches = list(self._batches(count, _BATCH if self.piece_bytes is None else _BATCH_IN_PIECES))
        parts: list[Tensors] = []
        for start in range(0, len(batches), _TOGETHER):
            parts += runner.run_each([self.samples.take(which) for which in batches[start : start + _TOGETHER]])
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def values(self, tensors: Collection[str], *, count: int, batch: int) -> Iterator[Tensors]:
        """Yield what the first `count` samples make of `tensors`, which may be inputs.

        Args:
            tensors: names of data tensors.
            count: how many samples.
            batch: how many of them at a time.

        Yields:
            By name, for one batch after the other. What a model in pieces makes comes piece by piece, so that each
            batch's tensors are spread over several of them.
        """
        steps = Steps(self.model, piece_bytes=self.piece_bytes)
        kept: OnnxSession | None = None
        for which in self._batches(count, batch):
            feeds = self.samples.take(which)
            given = {name: array for name, array in feeds.items() if name in tensors}
            walk = steps.walk([feeds])
            for step in walk:
                session = kept or OnnxSession(
                    step.source(tensors),
                    name=_NAME,
                    optimisation=self._optimisation,
                    prepack=not steps.in_pieces,
                )
                kept = None if steps.in_pieces else session
                made = session.run(step.feeds[0])
                walk.carry([made])
                yield given | {name: array for name, array in made.items() if name in tensors}
                given = {}

    def profile(self, *, seconds: float, on_progress: Callable[[float], None] | None = None) -> Profile:
        """Measure one sample for about `seconds` (longer where three runs take longer); see `profile_model`.

        Args:
            seconds: how long to measure.
            on_progress: called with the share of the time that has passed, 0.0 to 1.0.

        Raises:
            ModelError: the model cannot be run.
        """
        steps = Steps(self.model, piece_bytes=self.piece_bytes)
        places = {name_of(node): _place(node) for node in self.model.graph}
        walk = steps.walk([self.samples.take([0])])
        profiles: list[Profile] = []
        for index, step in enumerate(walk):
            source, (feeds,) = step.source(), step.feeds
            profiles.append(
                profile_model(
                    source,
                    feeds,
                    nodes={name: places[name] for name in step.piece.nodes},
                    seconds=seconds / len(steps.pieces),
                    on_progress=_part_of(on_progress, index, len(steps.pieces)),
                )
            )
            if index + 1 < len(steps.pieces):
                walk.carry([OnnxSession(source, name=_NAME, prepack=False).run(feeds)])
        return _together(profiles)

    def _batches(self, count: int, most: int) -> Iterator[range]:
        size = most if any(spec.batch_axis is not None for spec in self.samples.specs) else 1
        for start in range(0, count, size):
            yield range(start, min(start + size, count))


def _place(node: ir.Node) -> NodeTensors:
    return NodeTensors(
        tuple(value.name for value in reads(node) if value.name),
        tuple(value.name for value in node.outputs if value.name),
    )


def _part_of(
    on_progress: Callable[[float], None] | None, index: int, count: int
) -> Callable[[float], None] | None:
    return None if on_progress is None else lambda share: on_progress((index + share) / count)


def _together(profiles: list[Profile]) -> Profile:
    """The profile of a model from those of its pieces."""
    return Profile(
        {name: ms for profile in profiles for name, ms in profile.node_ms.items()},
        sum(profile.whole_ms for profile in profiles),
        sum(profile.basic_ms for profile in profiles),
        min(profile.runs for profile in profiles),
    )
