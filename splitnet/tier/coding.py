"""Coded wire tensors on a link: bytes, with parameters that say what they decode to (docs/protocol.md)."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from splitnet.coding import CodingName, decode, encode, is_applicable, is_available
from splitnet.errors import ConfigError, InvalidArgumentError, PackageError
from splitnet.package import WireEntry
from splitnet.protocol import InferRequest, Parameter, from_datatype, to_datatype
from splitnet.protocol.contents import MAX_AXES
from splitnet.protocol.quoting import quote
from splitnet.tensors import Array, Tensors

#: In ServerMetadata.extensions: the server decodes. Parameter of a tensor of UINT8 [bytes]: how they are coded.
CODING = "splitnet_coding"
#: Parameters of such a tensor: the protocol's name of the element type, and the sizes, joined by commas.
DATATYPE, SHAPE = "splitnet_datatype", "splitnet_shape"

TensorParameters = dict[str, dict[str, Parameter]]

# Sizes of 63 bits, as in the protocol's own shapes.
_SHAPE = re.compile(r"(?:[0-9]{1,19}(?:,[0-9]{1,19})*)?")


class DecodedArray(np.ndarray):
    """An array that still has the bytes it was decoded from; a view or a part of it has not.

    A tier that only relays sends those bytes on: coding anew costs time and, with JPEG, a second loss.
    """

    coding: str | None = None
    coded: Array | None = None


@dataclass(frozen=True, slots=True)
class _Coded:
    """A tensor as a request says that it is; only type and shape are checked yet."""

    name: str
    coding: str
    dtype: str
    shape: tuple[int, ...]
    data: Array

    @property
    def nbytes(self) -> int:
        """Bytes when decoded; an empty axis does not excuse the others, as numpy refuses such a shape too."""
        return math.prod(size or 1 for size in self.shape) * np.dtype(self.dtype).itemsize

    def stand_in(self) -> Array:
        """Return an array of this type and shape that takes no memory."""
        return np.broadcast_to(np.zeros((), self.dtype), self.shape)

    def decode(self) -> DecodedArray:
        data, size_bytes = self.data.tobytes(), self.nbytes
        try:
            array = decode(self.coding, data, dtype=self.dtype, shape=self.shape, max_bytes=size_bytes)
        except InvalidArgumentError as err:
            raise InvalidArgumentError(f"tensor {quote(self.name)}: {err}") from err
        decoded = array.view(DecodedArray)
        decoded.coding, decoded.coded = self.coding, self.data
        return decoded


def check_codings(wires: Iterable[WireEntry | None]) -> None:
    """Refuse `wires`, of which some may not be there, whose tensors cannot be coded as they say.

    Raises:
        ConfigError: a coding's library is not installed here; says what to install.
        PackageError: a coding does not apply to its tensor.
    """
    for tensor in (tensor for wire in wires if wire is not None for tensor in wire.tensors):
        if not is_applicable(tensor.coding, tensor.to_spec()):
            raise PackageError(
                f"the package codes tensor {tensor.name!r} as {tensor.coding}, which does not apply to "
                f"{tensor.dtype}{list(tensor.shape)}; make the package anew"
            )
        if not is_available(tensor.coding):
            raise ConfigError(
                f"the package codes tensor {tensor.name!r} as {tensor.coding}; install splitnet with its extra "
                "`images` on this machine, or make the package with another coding"
            )


def code(wire: WireEntry, tensors: Tensors) -> tuple[Tensors, TensorParameters]:
    """Return `tensors` as they are sent over `wire`, and the parameters of those that are coded.

    What a coding makes larger is sent plain.
    """
    sent, parameters = dict(tensors), {}
    for entry in wire.tensors:
        array = tensors[entry.name]
        coded = _coded_bytes(entry.coding, array) if entry.coding != "none" else array
        if coded.nbytes < array.nbytes:
            sent[entry.name] = coded
            parameters[entry.name] = _parameters(entry.coding, array)
    return sent, parameters


def unpack(request: InferRequest, max_bytes: int) -> tuple[Tensors, Callable[[], Tensors] | None]:
    """Return the tensors of `request` by type and shape, and a function that returns them with their values.

    Coded tensors are stood in for, so that a request can be refused before anything is decoded; the function is
    None where none is coded, and raises InvalidArgumentError for bytes that are not what they should be.

    Args:
        request: as it came.
        max_bytes: of all its coded tensors together, decoded.

    Raises:
        InvalidArgumentError: parameters of a tensor are wrong, or its decoded size is too large.
    """
    coded = [
        _announced(name, request.tensors[name], parameters)
        for name, parameters in request.tensor_parameters.items()
        if CODING in parameters
    ]
    if not coded:
        return request.tensors, None
    size_bytes = sum(tensor.nbytes for tensor in coded)
    if size_bytes > max_bytes:
        raise InvalidArgumentError(
            f"the coded tensors have {size_bytes} bytes when decoded; at most {max_bytes} are taken: "
            "send fewer samples"
        )
    stand_ins = {tensor.name: tensor.stand_in() for tensor in coded}
    return (
        request.tensors | stand_ins,
        lambda: request.tensors | {tensor.name: tensor.decode() for tensor in coded},
    )


def _coded_bytes(coding: CodingName, array: Array) -> Array:
    if isinstance(array, DecodedArray) and array.coding == coding and array.coded is not None:
        return array.coded
    return np.frombuffer(encode(coding, array), np.uint8)


def _parameters(coding: CodingName, array: Array) -> dict[str, Parameter]:
    return {
        CODING: coding,
        DATATYPE: to_datatype(array.dtype.name),
        SHAPE: ",".join(str(size) for size in array.shape),
    }


def _announced(name: str, data: Array, parameters: Mapping[str, Parameter]) -> _Coded:
    try:
        coding, datatype, shape = (_text(parameters, key) for key in (CODING, DATATYPE, SHAPE))
        if data.dtype != np.uint8 or data.ndim != 1:
            raise InvalidArgumentError(
                f"expected coded bytes as UINT8 [bytes], got {data.dtype} {list(data.shape)}"
            )
        coded = _Coded(name, coding, from_datatype(datatype), _sizes(shape), data)
        if data.nbytes >= coded.nbytes:  # which bounds the time to decode, too
            raise InvalidArgumentError(
                f"{data.nbytes} coded bytes are not fewer than the {coded.nbytes} they decode to; send it plain"
            )
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"tensor {quote(name)}: {err}") from err
    return coded


def _text(parameters: Mapping[str, Parameter], key: str) -> str:
    value = parameters.get(key)
    if not isinstance(value, str):
        raise InvalidArgumentError(
            f"parameter {key}: expected text, got {'nothing' if value is None else type(value).__name__}"
        )
    return value


def _sizes(text: str) -> tuple[int, ...]:
    if text.count(",") >= MAX_AXES or not _SHAPE.fullmatch(text):
        raise InvalidArgumentError(
            f"parameter {SHAPE}: expected at most {MAX_AXES} sizes joined by commas, such as 1,64,56,56,"
            f" got {quote(text)}"
        )
    return tuple(int(size) for size in text.split(",")) if text else ()
