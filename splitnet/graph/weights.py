"""The tensors that a model holds: their size, and the files that external ones are read from."""

from collections.abc import Iterator
from pathlib import Path

import onnx_ir as ir
from onnx import TensorProto

from splitnet.errors import ModelError
from splitnet.graph.values import subgraphs

_PART_BYTES = 2**20


def weight_bytes(model: ir.Model) -> int:
    """Return the bytes of all initialisers and tensor attributes, subgraphs included."""
    return sum(tensor.nbytes for tensor in _tensors(model))


def held_bytes(model: ir.Model) -> int:
    """Return the bytes of those tensors that are not external data."""
    return sum(tensor.nbytes for tensor in _tensors(model) if not isinstance(tensor, ir.ExternalTensor))


def external_folder(model: ir.Model) -> Path | None:
    """Return the folder that the locations of the model's external data are relative to; None without any."""
    folders = (Path(tensor.base_dir) for tensor in _tensors(model) if isinstance(tensor, ir.ExternalTensor))
    return next(folders, None)


def _all_nodes(model: ir.Model) -> Iterator[ir.Node]:
    yield from model.graph.all_nodes()
    for function in model.functions.values():
        yield from function.all_nodes()


def all_graphs(model: ir.Model) -> Iterator[ir.Graph]:
    """Yield the model's graph and every subgraph in it, those of its functions included."""
    yield model.graph
    for node in _all_nodes(model):
        yield from subgraphs(node)


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    for graph in all_graphs(model):
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
    """Return a copy of `model` whose external tensors are ordinary ones, read from their files.

    Raises:
        ModelError: a file that was there at loading cannot be read now.
    """
    copy = model.clone()
    for graph in all_graphs(copy):
        for value in graph.initializers.values():
            if isinstance(value.const_value, ir.ExternalTensor):
                value.const_value = inlined(value.const_value)
    inline_attributes(copy)
    return copy


def inline_attributes(model: ir.Model) -> None:
    """Replace external tensors in attributes of `model` by ordinary ones (raises what `tensor_parts` raises)."""
    for node in _all_nodes(model):
        for attribute in list(node.attributes.values()):
            if attribute.type == ir.AttributeType.TENSOR and isinstance(attribute.value, ir.ExternalTensor):
                node.attributes[attribute.name] = ir.AttrTensor(attribute.name, inlined(attribute.value))


def inlined(tensor: ir.ExternalTensor) -> ir.TensorProtocol:
    """Return `tensor` with its data in memory (raises what `tensor_parts` raises)."""
    # Through a proto, whose raw data are in the file's own layout, that of 4-bit types too.
    proto = TensorProto(
        name=tensor.name,
        data_type=tensor.dtype.value,
        dims=tensor.shape.numpy(),
        raw_data=b"".join(tensor_parts(tensor)),
    )
    return ir.serde.deserialize_tensor(proto)


def tensor_parts(tensor: ir.TensorProtocol) -> Iterator[bytes | memoryview]:
    """Yield a tensor's bytes as ONNX stores them, of one that is in a file no more than 1 MiB at a time.

    Files are read, not mapped: pages of a mapped file count as this process's memory until it is unmapped, and
    each tensor's mapping holds a file open.

    Raises:
        ModelError: the file of an external tensor cannot be read.
    """
    if not isinstance(tensor, ir.ExternalTensor):
        content = memoryview(tensor.tobytes())
        yield from (content[start : start + _PART_BYTES] for start in range(0, len(content), _PART_BYTES))
        return
    left = tensor.length or tensor.nbytes
    try:
        with Path(tensor.path).open("rb") as file:
            file.seek(tensor.offset or 0)
            while left and (part := file.read(min(left, _PART_BYTES))):
                left -= len(part)
                yield part
    except OSError as err:
        raise _unreadable(tensor, err.strerror or str(err)) from err
    if left:
        raise _unreadable(tensor, f"it ends {left} bytes too early")


def _unreadable(tensor: ir.ExternalTensor, reason: str) -> ModelError:
    return ModelError(f"weights {tensor.name!r} in {tensor.path}: cannot be read ({reason}); restore the file")
