"""The shapes of a model's tensors, from running it at two batch sizes."""

from collections.abc import Sequence

import onnx_ir as ir

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph import observable, record_shapes
from splitnet.onnx_session import OnnxSession
from splitnet.partition.walk import Steps
from splitnet.samples import Samples
from splitnet.tensors import Tensors

#: What a run saw of a tensor: numpy's name of its element type, and its shape.
Sightings = dict[str, tuple[str, tuple[int, ...]]]


def observe_shapes(model: ir.Model, samples: Samples, *, piece_bytes: int | None) -> None:
    """Run `model` at two batch sizes and record every shape in it, each axis as it follows the batch.

    Args:
        model: as `load_model` returns it; changed in place.
        samples: to run on.
        piece_bytes: weights of a piece, bytes; None runs the whole at once.

    Raises:
        ModelError: the model cannot be run.
        InvalidArgumentError: the samples do not fit it.
    """
    batched = any(spec.batch_axis is not None for spec in samples.specs)
    sizes = [2, 3] if batched else [1]
    names = observable(model)
    seen: list[Sightings] = [{} for _ in sizes]
    steps = Steps(model, piece_bytes=piece_bytes, shapes_are_known=False)
    walk = steps.walk([samples.take(range(size)) for size in sizes])
    for step in walk:
        # Without optimisation, which would remove tensors that are to be seen.
        session = OnnxSession(
            step.source(names), name="the whole model", optimisation="none", prepack=not steps.in_pieces
        )
        made = _run_each(session, step.feeds)
        for sightings, tensors in zip(seen, made, strict=True):
            sightings |= {
                name: (array.dtype.name, array.shape) for name, array in tensors.items() if name in names
            }
        walk.carry(made)
    record_shapes(model, seen, sizes)


def _run_each(session: OnnxSession, batches: Sequence[Tensors]) -> list[Tensors]:
    try:
        return [session.run(feeds) for feeds in batches]
    except (ModelError, InvalidArgumentError) as err:
        if len(batches) == 1:
            raise
        raise type(err)(
            f"{err}; where the model runs at one batch size only, fix its batch axis: for one called N, --dim N=1"
        ) from err
