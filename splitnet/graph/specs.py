"""TensorSpecs of a model's tensors: its inputs and outputs, and what can be sent between tiers."""

import onnx_ir as ir

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph.axes import axis_fits
from splitnet.graph.shapes import dtype_name
from splitnet.graph.values import look_up, name_of, value_table
from splitnet.tensors import BATCH, DTYPES, TensorSpec


def spec_of(source: ir.Model | ir.Value, name: str | None = None) -> TensorSpec | None:
    """Return the spec of a tensor, or None where it cannot be sent.

    It cannot where its element type is none of `DTYPES`, its shape is not recorded, or an axis is neither of
    fixed size nor the batch itself (such as "64*batch": its samples could not be told apart), or two are.

    Args:
        source: a tensor, or the model to look `name` up in (use `sendable_specs` for many names).
        name: the tensor's name, when `source` is a model.

    Raises:
        NotFoundError: the model has no such tensor.
        InvalidArgumentError: `source` is a model and `name` is not given.
    """
    if isinstance(source, ir.Value):
        return _sendable(source)
    if name is None:
        raise InvalidArgumentError("spec_of was given a model without the name of a tensor in it")
    return _sendable(look_up(value_table(source), [name])[0])


def sendable_specs(model: ir.Model) -> dict[str, TensorSpec]:
    """Return the specs of all top-level tensors that can be sent, by name, in one pass."""
    specs = ((name, _sendable(value)) for name, value in value_table(model).items())
    return {name: spec for name, spec in specs if spec is not None}


def _sendable(value: ir.Value) -> TensorSpec | None:
    dtype = dtype_name(value) if isinstance(value.type, ir.TensorType) else None
    fits = axis_fits(value)
    if dtype not in DTYPES or fits is None:
        return None
    shape = tuple(None if fit is None else fit.dimension for fit in fits)
    return _spec(value, dtype, shape)


def _spec(value: ir.Value, dtype: str, shape: tuple[int | str | None, ...]) -> TensorSpec | None:
    closed = tuple(size for size in shape if isinstance(size, int) or size == BATCH)
    if len(closed) != len(shape) or closed.count(BATCH) > 1:
        return None
    return TensorSpec(name_of(value), dtype, closed)


def input_specs(model: ir.Model) -> tuple[TensorSpec, ...]:
    """Return the specs of the model's inputs; a first axis without size is the batch.

    Raises:
        ModelError: an input has an element type that is not supported, no known rank, or another open axis.
    """
    symbols = _batch_symbols(model)
    return tuple(_interface_spec(value, "input", symbols, first_is_batch=True) for value in model.graph.inputs)


def output_specs(model: ir.Model) -> tuple[TensorSpec, ...]:
    """Return the specs of the model's outputs; an axis named like the inputs' first is the batch.

    Raises:
        ModelError: an output has an element type that is not supported, or an axis whose size is open.
    """
    symbols = _batch_symbols(model)
    return tuple(_interface_spec(value, "output", symbols, first_is_batch=False) for value in model.graph.outputs)


def _batch_symbols(model: ir.Model) -> set[str]:
    firsts = [value.shape[0] for value in model.graph.inputs if value.shape]
    return {BATCH} | {dim.value for dim in firsts if isinstance(dim, ir.SymbolicDim) and dim.value is not None}


def _interface_spec(value: ir.Value, role: str, symbols: set[str], *, first_is_batch: bool) -> TensorSpec:
    dtype = dtype_name(value)
    if dtype not in DTYPES:
        raise ModelError(f"{role} {value.name!r} has element type {dtype}; expected one of {', '.join(DTYPES)}")
    if value.shape is None:
        raise ModelError(
            f"{role} {value.name!r} has no shape in the model; export it with one, or record shapes first"
        )
    shape: list[int | str] = []
    for axis, dim in enumerate(value.shape.dims):
        if isinstance(dim, int):
            shape.append(dim)
        elif dim.value in symbols or (axis == 0 and first_is_batch):
            shape.append(BATCH)
        else:
            raise ModelError(
                f"axis {axis} of {role} {value.name!r} is open ({dim.value or 'without a name'}); "
                "only the batch may be: fix its size when exporting, or with --dim AXIS=SIZE"
            )
    spec = _spec(value, dtype, tuple(shape))
    if spec is None:
        raise ModelError(
            f"{role} {value.name!r} has more than one batch axis: {shape}; only one may count samples"
        )
    return spec
