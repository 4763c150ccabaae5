"""A model run step by step: the whole at once or, where its weights are many, one piece after the other.

So that a model of any size is cut in little memory, whoever runs it takes steps: opens what the step offers, runs
it on what the step feeds, hands on what came out, and lets go of it before the next.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.graph import (
    Piece,
    cut_into_pieces,
    external_folder,
    linked_bytes,
    piece_model,
    weight_bytes,
    whole_piece,
    with_outputs,
)
from splitnet.onnx_session import LinkedModel, OnnxModel
from splitnet.tensors import Tensors

#: A model with at most so many bytes of weights is opened whole.
WHOLE_BYTES = 256 * 2**20
#: Weights of a piece of a larger one, bytes. A profile holds two packed copies of them and a tensor on its way.
PIECE_BYTES = 64 * 2**20


def piece_bytes_for(model: ir.Model, *, whole_bytes: int = WHOLE_BYTES) -> int | None:
    """Return the weights of a piece of `model`, bytes; None where it has so few that it is opened whole."""
    return min(PIECE_BYTES, whole_bytes) if weight_bytes(model) > whole_bytes else None


def source_of(model: ir.Model) -> OnnxModel:
    """Return `model` as onnxruntime opens it; external weights stay in their files."""
    content, folder = linked_bytes(model), external_folder(model)
    return content if folder is None else LinkedModel(content, folder)


@dataclass(frozen=True, slots=True)
class Step:
    """One piece and what it is run on.

    Attributes:
        steps: that it is one of.
        piece: what is run.
        feeds: what it takes, for each batch.
    """

    steps: "Steps"
    piece: Piece
    feeds: tuple[Tensors, ...]

    def source(self, extra: Collection[str] = ()) -> OnnxModel:
        """Return the model to open.

        Args:
            extra: names of data tensors that it shall answer besides what it makes, as far as they are made in it.
        """
        steps, piece = self.steps, self.piece
        looked_at = sorted(piece.observable.intersection(extra))
        if not steps.in_pieces:
            return source_of(with_outputs(steps.model, looked_at) if looked_at else steps.model)
        dtypes = {name: array.dtype.name for name, array in self.feeds[0].items()}
        outputs = list(dict.fromkeys([*piece.makes, *looked_at]))
        return source_of(
            piece_model(steps.model, piece, dtypes, outputs=outputs, keep_shapes=steps.shapes_are_known)
        )


class Steps:
    """The pieces of a model, to be walked through any number of times.

    Attributes:
        model: the whole.
        pieces: in order; one where the model is opened whole.
        in_pieces: whether it is not.
        shapes_are_known: whether the shapes that the model has on record are right.
    """

    def __init__(self, model: ir.Model, *, piece_bytes: int | None, shapes_are_known: bool = True) -> None:
        """Cut `model`, which is not changed, into pieces of `piece_bytes` of weights; None leaves it whole."""
        self.model = model
        self.in_pieces = piece_bytes is not None
        self.pieces = (whole_piece(model),) if piece_bytes is None else cut_into_pieces(model, piece_bytes)
        self.shapes_are_known = shapes_are_known
        self.outputs = tuple(value.name for value in model.graph.outputs if value.name)
        self.last_use = {name: index for index, piece in enumerate(self.pieces) for name in piece.takes}

    def walk(self, batches: Sequence[Tensors]) -> "Walk":
        """Begin to run the model on `batches`, each a value of every input."""
        return Walk(self, batches)


class Walk:
    """Batches on their way through a model: iterate over the steps, and `carry` on what each one made."""

    def __init__(self, steps: Steps, batches: Sequence[Tensors]) -> None:
        self._steps = steps
        self._values = [dict(batch) for batch in batches]

    def __iter__(self) -> Iterator[Step]:
        for index, piece in enumerate(self._steps.pieces):
            yield Step(
                self._steps, piece, tuple({name: values[name] for name in piece.takes} for values in self._values)
            )
            self._forget(index)

    def carry(self, made: Sequence[Tensors]) -> None:
        """Hand on what the step at hand made of each batch; what nobody reads any more is let go."""
        for values, new in zip(self._values, made, strict=True):
            values.update(new)

    def _forget(self, index: int) -> None:
        for values in self._values:
            for name in list(values):
                if self._steps.last_use.get(name, -1) <= index and name not in self._steps.outputs:
                    del values[name]

    @property
    def answers(self) -> list[Tensors]:
        """The model's outputs for each batch, once all steps are done."""
        return [{name: values[name] for name in self._steps.outputs} for values in self._values]
