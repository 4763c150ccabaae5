"""Shapes by observation: runs report what every tensor looked like, and each axis is fitted to the batch size.

Exact where inference by rules gives up (it missed 548 tensors of a GPT-2 export). The runs themselves happen
elsewhere, so that this package does not load onnxruntime.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx_ir as ir

from splitnet.errors import InvalidArgumentError, ModelError, NotFoundError
from splitnet.graph.axes import AxisFit
from splitnet.graph.classify import classify_values
from splitnet.graph.values import value_table
from splitnet.tensors import BATCH, DTYPES

#: What a run reports of a tensor: numpy's name of its element type, and its shape.
Sighting = tuple[str, tuple[int, ...]]


def dtype_name(value: ir.Value) -> str | None:
    """Return numpy's name of the element type ("object" for strings), or None where it is unknown."""
    if value.dtype is None or value.dtype is ir.DataType.UNDEFINED:
        return None
    return np.dtype(value.dtype.numpy()).name


def record_shapes(model: ir.Model, runs: Sequence[Mapping[str, Sighting]], batches: Sequence[int]) -> None:
    """Write what runs saw into the values of `model`: element type, and each axis as a fit of the batch size.

    An axis becomes a size, "batch", an expression such as "64*batch", or stays open where sizes depend on
    values. Tensors that the runs did not report keep what they have, but the inputs' open first axis becomes
    the batch.

    Args:
        model: changed in place.
        runs: for each run the tensors it saw, by name (`with_every_output` names them all).
        batches: the batch size of each run. One run says that the model's batch is fixed: every axis becomes
            a size. Otherwise they must differ, such as 2 and 3.

    Raises:
        InvalidArgumentError: no runs, not one batch size for each, or one given twice.
        ModelError: the runs disagree on a tensor's element type or rank.
    """
    if not runs or len(runs) != len(batches) or len(set(batches)) != len(batches):
        raise InvalidArgumentError(
            f"{len(runs)} runs at batch sizes {list(batches)}: expected one or more, each at its own batch size"
        )
    value_sized = classify_values(model).value_sized
    for name, value in value_table(model).items():
        sightings = [run[name] for run in runs if name in run]
        if len(sightings) == len(runs) and not value.is_initializer():
            _record(value, sightings, batches, sized_by_value=value in value_sized)
    for value in model.graph.inputs:
        if value.shape and not isinstance(value.shape[0], int):
            value.shape = ir.Shape([BATCH if len(runs) > 1 else batches[0], *value.shape[1:]])


def _record(
    value: ir.Value, sightings: Sequence[Sighting], batches: Sequence[int], *, sized_by_value: bool
) -> None:
    dtypes = {dtype for dtype, _ in sightings}
    shapes = [shape for _, shape in sightings]
    if len(dtypes) > 1 or len({len(shape) for shape in shapes}) > 1:
        raise ModelError(f"tensor {value.name!r} changes its element type or rank between runs: {list(sightings)}")
    value.type = ir.TensorType(data_type(dtypes.pop()))
    fits = [None if sized_by_value else AxisFit.fit(batches, sizes) for sizes in zip(*shapes, strict=True)]
    value.shape = ir.Shape(None if fit is None else fit.dimension for fit in fits)


def data_type(name: str) -> ir.DataType:
    """Return the element type that numpy calls `name`; text is "object" or "str"."""
    if name in ("object", "str"):
        return ir.DataType.STRING
    if name not in DTYPES:
        raise InvalidArgumentError(
            f"element type {name!r} is no numpy name of a tensor's; expected one of {DTYPES}"
        )
    return ir.DataType.from_numpy(np.dtype(name))


def fix_axes(model: ir.Model, sizes: Mapping[str, int]) -> None:
    """Give the open axes called by the keys of `sizes` a size, in the inputs and wherever else they occur.

    Args:
        model: changed in place.
        sizes: size by the axis's symbolic name in the model file, such as {"sequence": 128}.

    Raises:
        NotFoundError: no input has an axis of that name.
        InvalidArgumentError: a size is below 1.
    """
    symbols = {str(dim) for value in model.graph.inputs for dim in value.shape or () if not isinstance(dim, int)}
    for name, size in sizes.items():
        if name not in symbols:
            raise NotFoundError(f"no input has an open axis {name!r}; open axes are {sorted(symbols)}")
        if size < 1:
            raise InvalidArgumentError(f"axis {name!r}: expected a size of at least 1, got {size}")
    for value in value_table(model).values():
        if value.shape is not None and value.shape.is_dynamic() and not value.is_initializer():
            value.shape = ir.Shape(
                dim if isinstance(dim, int) else sizes.get(str(dim), dim) for dim in value.shape
            )
