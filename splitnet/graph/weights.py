"""The tensors that a model holds: their size, and the files that external ones are mapped from."""

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph.values import subgraphs


def weight_bytes(model: ir.Model) -> int:
    """Return the bytes of all initialisers and tensor attributes, subgraphs included."""
    return sum(tensor.nbytes for tensor in _tensors(model))


def _all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def _all_graphs(model: ir.Model) -> Iterator[ir.Graph]:
    yield model.graph
    for node in _all_nodes(model):
        yield from subgraphs(node)


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for graph in _all_graphs(model):
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
    for node in _all_nodes(model):
        for attribute in node.attributes.values():
            if attribute.is_ref():
                continue
            if attribute.type == ir.AttributeType.TENSOR:
                yield attribute.as_tensor()
            elif attribute.type == ir.AttributeType.TENSORS:
                yield from attribute.as_tensors()


def check_external_data(model: ir.Model, path: Path) -> None:
    """Refuse external data outside the directory of the model file `path`, missing, or too short for its tensor.

    Also tells tensors inside functions where that directory is, which `onnx_ir.load` does not.

    Raises:
        ModelError: names the file and the tensor.
    """
    for tensor in _tensors(model):
        if isinstance(tensor, ir.ExternalTensor):
            tensor.base_dir = path.parent
            _check_external(tensor, path)


def _check_external(tensor: ir.ExternalTensor, path: Path) -> None:
    def refuse(found: str, remedy: str) -> ModelError:
        return ModelError(f"{path}: weights {tensor.name!r} are in {str(tensor.location)!r}, {found}; {remedy}")

    file = Path(tensor.path)
    if not file.resolve().is_relative_to(path.parent.resolve()):
        raise refuse("outside the model's directory", "copy the file beside the model and name it there")
    try:
        status = file.stat()
    except OSError as err:
        raise refuse(f"which cannot be read ({err.strerror})", "copy it beside the model") from err
    if status.st_nlink > 1:
        # onnx_ir refuses to map it, since a hard link leads out of the directory unseen.
        raise refuse(f"which has {status.st_nlink} hard links", "replace it by a copy")
    start, length = tensor.offset or 0, tensor.length or tensor.nbytes
    if start < 0 or length != tensor.nbytes or start + length > status.st_size:
        raise refuse(
            f"{status.st_size} bytes long, as {length} bytes from {start} on, where {tensor.nbytes} are needed",
            "the file is damaged or truncated: copy or export it again",
        )


def with_inline_data(model: ir.Model) -> ir.Model:
    """Return a copy of `model` whose external tensors are ordinary ones, still backed by the mapped files.

    Raises:
        ModelError: a file that was there at loading cannot be mapped now.
    """
    copy = model.clone()
    for graph in _all_graphs(copy):
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = _inline(value.const_value)
    for node in _all_nodes(copy):
        for attribute in list(node.attributes.values()):
            if attribute.type == ir.AttributeType.TENSOR and isinstance(attribute.value, ir.ExternalTensor):
                node.attributes[attribute.name] = ir.AttrTensor(attribute.name, _inline(attribute.value))
    return copy


def _inline(tensor: ir.ExternalTensor) -> ir.TensorProtocol:
    try:
        array = tensor.numpy()
    except (OSError, ValueError) as err:
        raise ModelError(
            f"weights {tensor.name!r} in {tensor.path}: cannot be mapped ({err}); restore the file"
        ) from err
    return ir.Tensor(array, dtype=tensor.dtype, shape=tensor.shape, name=tensor.name)
