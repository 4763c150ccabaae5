"""The small fields of a message with tensors, where it is like one before.

Between two tiers, what changes from message to message are tensors, id and timings. These are written and read by
hand; the rest is remembered as bytes. What is not laid out as we do it is left to protobuf (framing.py), which
also says what is wrong with it.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.contents import Span, in_place
from splitnet.protocol.messages import Parameter
from splitnet.protocol.parameters import to_proto
from splitnet.protocol.wire import length_prefix, read_varint, scan
from splitnet.tensors import Tensors

# Requests and answers have both at the same numbers; we write them between the tensors and the rest.
_ID = pb.ModelInferRequest.ID_FIELD_NUMBER
_PARAMETERS = pb.ModelInferRequest.PARAMETERS_FIELD_NUMBER
_ID_TAG, _PARAMETER_TAG = (length_prefix(number, 0)[0] for number in (_ID, _PARAMETERS))
_DOUBLE = struct.Struct("<d")

# What is raised where a message is laid out in another way, is cut off, or has text that is not in UTF-8.
_OTHERWISE = (InvalidArgumentError, IndexError, struct.error, ValueError)

# Bounds of what is remembered: a peer may send something new each time.
_LONGEST_REST = 2048
_MOST_RESTS = 1024
_MOST_TIMINGS = 64


@dataclass(frozen=True, slots=True)
class Rest:
    """A message but for its tensors, id and timings.

    Attributes:
        model_name: the model.
        model_version: of it.
        tensors: name, element type in this machine's byte order, shape, and size in bytes of each.
        parameters: values beside the tensors; in a message as a whole, these are all of them.
        requested: outputs that are asked for.
        tensor_parameters: values beside single tensors.
    """

    model_name: str
    model_version: str
    tensors: tuple[tuple[str, "np.dtype[Any]", tuple[int, ...], int], ...]
    parameters: Mapping[str, Parameter]
    requested: tuple[str, ...]
    tensor_parameters: Mapping[str, Mapping[str, Parameter]]


#: A message that is like one before: its rest, id, all of its parameters, and its tensors.
Recognised: TypeAlias = tuple[Rest, str, dict[str, Parameter], Tensors]


class Memory:
    """Rests of messages by their bytes; bounded and thread-safe."""

    def __init__(self, raw_field: int, names: Mapping[int, str]) -> None:
        """Remember messages with fields `names` by number, whose raw tensors are in field `raw_field`."""
        self._raw_field = raw_field
        self._raw_tag = length_prefix(raw_field, 0)[0]
        self._names = names
        self._rests: dict[bytes, Rest] = {}
        self._timings: dict[bytes, str] = {}

    def recognise(self, data: bytes, start: int, stop: int) -> Recognised | None:
        """Return the message in `data[start:stop]`; None where it is not like one before, or not in order."""
        try:
            spans, request_id, parameters, at = self._split(data, start)
        except _OTHERWISE:
            return None
        if stop - at > _LONGEST_REST:  # laid out otherwise: a tensor is in there, not to be copied and hashed
            return None
        rest = self._rests.get(data[at:stop])
        if rest is None or len(rest.tensors) != len(spans):
            return None
        tensors: Tensors = {}
        for (begin, end), (name, dtype, shape, size_bytes) in zip(spans, rest.tensors, strict=True):
            if end - begin != size_bytes:
                return None
            tensors[name] = in_place(data, begin, dtype, shape)
        parameters.update(rest.parameters)
        return rest, request_id, parameters, tensors

    def remember(self, data: bytes, start: int, stop: int, whole: Rest) -> None:
        """Remember a message that was found to be in order, if it is laid out as ours are.

        Args:
            data: holds the message, with raw tensors.
            start: where it begins.
            stop: where it ends.
            whole: what it says, timings included.
        """
        # The values of a bool must be looked at each time.
        if any(dtype.kind == "b" for _, dtype, _, _ in whole.tensors):
            return
        for name, value in whole.parameters.items():
            if isinstance(value, float) and len(self._timings) < _MOST_TIMINGS:
                self._timings[_before_double(name)] = name
        try:
            _, _, timings, at = self._split(data, start)
            numbers = [number for number, *_ in scan(data, at, stop, self._names)]
        except _OTHERWISE:
            return
        parameters = {name: value for name, value in whole.parameters.items() if name not in timings}
        plain = self._raw_field not in numbers and _ID not in numbers
        if not plain or numbers.count(_PARAMETERS) != len(parameters) or stop - at > _LONGEST_REST:
            return
        if len(self._rests) >= _MOST_RESTS:
            self._rests.clear()
        self._rests[data[at:stop]] = replace(whole, parameters=parameters)

    def _split(self, data: bytes, at: int) -> tuple[list[Span], str, dict[str, Parameter], int]:
        """Return tensors, id and timings, and where the rest begins.

        Raises:
            Exception: one of `_OTHERWISE`.
        """
        spans: list[Span] = []
        while data[at] == self._raw_tag:
            size, value = data[at + 1], at + 2
            if size > 0x7F:
                size, value = read_varint(data, at + 1, len(data))
            at = value + size
            spans.append((value, at))
        request_id = ""
        if data[at] == _ID_TAG and (size := data[at + 1]) <= 0x7F:
            value, at = at + 2, at + 2 + size
            request_id = str(data[value:at], "utf-8")
        timings: dict[str, Parameter] = {}
        while data[at] == _PARAMETER_TAG:
            value = at + 2 + data[at + 1] - _DOUBLE.size
            name = self._timings.get(data[at:value])
            if name is None:
                break
            (timings[name],) = number = _DOUBLE.unpack_from(data, value)
            if not math.isfinite(number[0]):
                raise InvalidArgumentError("not a finite number")
            at = value + _DOUBLE.size
        return spans, request_id, timings, at


def write_id(request_id: str) -> bytes:
    """Return the field that holds an id; nothing for an empty one.

    Raises:
        ValueError: text that is not Unicode.
    """
    text = request_id.encode()
    return length_prefix(_ID, len(text)) + text if text else b""


def write_parameters(parameters: Mapping[str, Parameter]) -> list[bytes]:
    """Return the fields that hold `parameters`, timings first.

    Raises:
        InvalidArgumentError: an int beyond 64 bits, a float that is not finite, or another type.
        ValueError: text that is not Unicode.
    """
    timings, others = [], []
    for name, value in parameters.items():
        if type(value) is float and math.isfinite(value):
            timings.append(_before_double(name) + _DOUBLE.pack(value))
        else:
            others.append(_parameter(name, value))
    return timings + others


# Timings have few names and ever new values.
@lru_cache(maxsize=256)
def _before_double(name: str) -> bytes:
    return _parameter(name, 0.5)[: -_DOUBLE.size]


@lru_cache(maxsize=1024, typed=True)
def _parameter(name: str, value: Parameter) -> bytes:
    message = pb.ModelInferRequest()
    to_proto({name: value}, message.parameters)
    return message.SerializeToString()
