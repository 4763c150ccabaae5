"""Weights as files of their own: ONNX external data, named by content, so that segments can share them."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.graph.load import linked_bytes
from splitnet.graph.weights import all_graphs, inline_attributes, inlined, tensor_parts

#: Where segments expect their weights, relative to their own folder.
WEIGHTS_FOLDER = "weights"
#: Smaller tensors stay in the ONNX file: onnxruntime wants those of shapes there, and each file has its own cost.
LEAST_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A tensor as a file.

    Attributes:
        name: of the file, without its folder: the first 32 digits of the digest.
        sha256: of the content, in hex.
        size_bytes: of the content.
        tensor: where the content is read from.
    """

    name: str
    sha256: str
    size_bytes: int
    tensor: ir.TensorProtocol

    def parts(self) -> Iterator[bytes | memoryview]:
        """Yield the file's content; of a tensor that is in a file itself no more than 1 MiB at a time.

        Raises:
            ModelError: the file of an external tensor cannot be read.
        """
        return tensor_parts(self.tensor)


class WeightStore:
    """Takes the large weights out of models; a tensor that several of them hold is read and named once."""

    def __init__(self, *, least_bytes: int = LEAST_BYTES) -> None:
        self._least_bytes = least_bytes
        self._known: dict[int, WeightsFile] = {}

    def split(self, model: ir.Model) -> tuple[bytes, tuple[WeightsFile, ...]]:
        """Serialise `model` with its large initialisers as external data in `WEIGHTS_FOLDER`.

        The same weights always give the same bytes. Initialisers of subgraphs are taken out as well; attributes
        and text stay.

        Args:
            model: not changed.

        Returns:
            The ONNX file, and the weights' files in order of their names.

        Raises:
            ModelError: what stays is too large for one protobuf message, or a weight's file cannot be read.
        """
        copy = model.clone()
        taken: dict[str, WeightsFile] = {}
        for graph in all_graphs(copy):
            for value in graph.initializers.values():
                tensor = value.const_value
                if tensor is not None and self._is_taken(tensor):
                    file = self._file_of(tensor)
                    taken[file.name] = file
                    value.const_value = _reference(tensor, file)
                elif isinstance(tensor, ir.ExternalTensor):
                    value.const_value = inlined(tensor)
        inline_attributes(copy)
        return linked_bytes(copy), tuple(taken[name] for name in sorted(taken))

    def _is_taken(self, tensor: ir.TensorProtocol) -> bool:
        return tensor.dtype is not ir.DataType.STRING and tensor.nbytes >= self._least_bytes

    def _file_of(self, tensor: ir.TensorProtocol) -> WeightsFile:
        # The file keeps its tensor, so that no other can come by the same id.
        if id(tensor) not in self._known:
            digest, size = hashlib.sha256(), 0
            for part in tensor_parts(tensor):
                digest.update(part)
                size += len(part)
            sha256 = digest.hexdigest()
            self._known[id(tensor)] = WeightsFile(f"{sha256[:32]}.bin", sha256, size, tensor)
        return self._known[id(tensor)]


def _reference(tensor: ir.TensorProtocol, file: WeightsFile) -> ir.ExternalTensor:
    return ir.ExternalTensor(
        f"{WEIGHTS_FOLDER}/{file.name}",
        0,
        file.size_bytes,
        tensor.dtype,
        shape=ir.Shape(tensor.shape.numpy()),
        name=tensor.name or "",
    )
