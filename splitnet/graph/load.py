"""Load an ONNX file in the form that the rest of the package builds on, and write models out again."""

from pathlib import Path

import onnx_ir as ir
from google.protobuf.message import DecodeError
from onnx_ir.passes import common as passes

from splitnet.errors import ModelError, NotFoundError
from splitnet.graph.weights import check_external_data, held_bytes, weight_bytes, with_inline_data

#: The oldest version of ONNX's own operators that is read: from 13 on shapes and axes are inputs throughout.
OLDEST_OPSET = 13

#: Protobuf refuses messages from 2 GiB on; the graph itself (names, attributes) stays far below the margin.
INLINE_LIMIT_BYTES = 2**31 - 2**26


def load_model(path: Path) -> ir.Model:
    """Load an ONNX model; external data stays mapped from its files.

    Functions are inlined, Constant nodes lifted to initialisers, initialisers are no inputs, nodes are in
    topological order and all of use, and every node and every tensor has a name of its own.

    Args:
        path: a protobuf .onnx file.

    Raises:
        NotFoundError: there is no such file.
        ModelError: the file cannot be read, is no ONNX model, or is one that cannot be split.
    """
    model = read_model(path)
    _check_opset(model, path)
    try:
        _normalise(model)
    except (ValueError, RuntimeError, ir.passes.PassError) as err:
        raise ModelError(f"{path}: the graph is not consistent ({_root_of(err)}); export the model again") from err
    _check_interface(model, path)
    return model


def read_model(path: Path) -> ir.Model:
    """Read an ONNX file as it stands; external data stays mapped from its files.

    Raises:
        NotFoundError: there is no such file.
        ModelError: it cannot be read, is no ONNX model, or its external data is not beside it.
    """
    # Absolute, because onnx_ir checks no external data against an empty directory name.
    path = path.absolute()
    model = _read(path)
    check_external_data(model, path)
    return model


def _read(path: Path) -> ir.Model:
    try:
        return ir.load(path, format="protobuf")
    except FileNotFoundError as err:
        raise NotFoundError(f"{path}: no such file") from err
    except OSError as err:
        raise ModelError(
            f"{path}: cannot be read ({err.strerror or err}); give the path of an .onnx file"
        ) from err
    except (DecodeError, RuntimeError, ValueError, TypeError, KeyError) as err:
        raise ModelError(
            f"{path}: not an ONNX model that can be read ({_root_of(err)}); export the model to ONNX first"
        ) from err


def _root_of(err: BaseException) -> str:
    """Return the first line of the innermost error's text: onnx_ir wraps each level with a dump of the graph."""
    while err.__cause__ is not None:
        err = err.__cause__
    return str(err).partition("\n")[0][:200] or type(err).__name__


def _check_opset(model: ir.Model, path: Path) -> None:
    if not len(model.graph):
        raise ModelError(f"{path}: no nodes; an empty or truncated file, or not an ONNX model")
    opsets = model.graph.opset_imports
    if "ai.onnx" in opsets:
        opsets[""] = opsets.pop("ai.onnx")
    version = opsets.get("")
    if version is None or version < OLDEST_OPSET:
        raise ModelError(
            f"{path}: opset {version or 'of ONNX is not imported'}; export with {OLDEST_OPSET} or later"
        )


def _normalise(model: ir.Model) -> None:
    omitted = [
        value for node in model.graph.all_nodes() for value in node.outputs if not value.name and not value.uses()
    ]
    for apply in (
        passes.InlinePass(),
        passes.RemoveInitializersFromInputsPass(),
        passes.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        passes.NameFixPass(),
        passes.TopologicalSortPass(),
    ):
        apply(model)
    # NameFixPass also names outputs that the model leaves out, and a named one would be computed.
    for value in omitted:
        value.name = ""
    passes.RemoveUnusedNodesPass()(model)
    # Initialisers that are no inputs came with version 4 of the format; opset 13 with 7.
    model.ir_version = max(model.ir_version, 7)


def _check_interface(model: ir.Model, path: Path) -> None:
    if not model.graph.inputs:
        raise ModelError(f"{path}: the model has no inputs; there is nothing to send between tiers")
    if not model.graph.outputs or not len(model.graph):
        raise ModelError(f"{path}: the model computes no outputs; export it with its outputs named")
    for value in (*model.graph.inputs, *model.graph.outputs):
        if value.type is not None and not isinstance(value.type, ir.TensorType):
            role = "input" if value.is_graph_input() else "output"
            raise ModelError(f"{path}: {role} {value.name!r} is of type {value.type}; only tensors can be sent")
    for node in model.graph.all_nodes():
        if undefined := [read.name for read in node.inputs if read is not None and not _is_defined(read)]:
            raise ModelError(f"{path}: node {node.name!r} reads {undefined}, which nothing defines; export again")
    if undefined := [value.name for value in model.graph.outputs if not _is_defined(value)]:
        raise ModelError(f"{path}: nothing computes the outputs {undefined}; export again")


def _is_defined(value: ir.Value) -> bool:
    return value.producer() is not None or value.is_graph_input() or value.is_initializer()


def model_bytes(model: ir.Model) -> bytes:
    """Serialise `model` with all its weights inside, external ones included.

    Raises:
        ModelError: the weights are too large for one protobuf message, or external data cannot be read.
    """
    _check_size(weight_bytes(model), "weights")
    return _serialised(with_inline_data(model))


def linked_bytes(model: ir.Model) -> bytes:
    """Serialise `model` with its external weights as references to where they are.

    Raises:
        ModelError: what is not external is too large for one protobuf message.
    """
    _check_size(held_bytes(model), "weights that are not external data")
    return _serialised(model)


def _check_size(size: int, what: str) -> None:
    if size > INLINE_LIMIT_BYTES:
        raise ModelError(
            f"the model has {size} bytes of {what}, and an ONNX file holds at most {INLINE_LIMIT_BYTES}: "
            "export it with its weights as external data"
        )


def _serialised(model: ir.Model) -> bytes:
    content: bytes = ir.to_proto(model).SerializeToString()
    return content
