"""Inference messages <-> bytes, framed by hand around their tensors.

protobuf copies a tensor several times on its way; here it writes and reads the small fields only, and one join
or one view moves the tensors. A message begins with them: protobuf takes fields in any order, and behind tag
and length, 4 bytes at 16 KiB to 2 MiB, a tensor of 1, 2 or 4 bytes an element is aligned where it is read, and
need not be copied there.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

import numpy as np
from google.protobuf.message import Message

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol import parameters
from splitnet.protocol.contents import Span, from_wire, to_wire
from splitnet.protocol.headers import Memory, Rest, write_id, write_parameters
from splitnet.protocol.messages import InferRequest, InferResponse, Parameter, StreamResponse
from splitnet.protocol.parsing import from_peer, parse, writes_text
from splitnet.protocol.quoting import quote
from splitnet.protocol.wire import length_prefix, read_varint, scan
from splitnet.tensors import Tensors

_Header = TypeVar("_Header", bound=Message)


@dataclass(frozen=True, slots=True)
class _Form(Generic[_Header]):
    """A message with tensors: its protobuf type, its fields' names, the field of raw tensors, its memory."""

    message: type[_Header]
    names: dict[int, str]
    raw: int
    memory: Memory


def _form(message: type[_Header], raw: int) -> _Form[_Header]:
    names = _names(message)
    return _Form(message, names, raw, Memory(raw, names))


def _names(message: type[Message]) -> dict[int, str]:
    return {field.number: field.name for field in message.DESCRIPTOR.fields}


_REQUEST = _form(pb.ModelInferRequest, pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER)
_RESPONSE = _form(pb.ModelInferResponse, pb.ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER)
_STREAM_NAMES = _names(pb.ModelStreamInferResponse)
_INFER_RESPONSE = pb.ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER
_INFER_RESPONSE_TAG = length_prefix(_INFER_RESPONSE, 0)[:1]

#: What a client may ask of an output and would not get.
_REFUSED_OUTPUT_PARAMETERS = ("classification", "shared_memory_region")

# Name, datatype and shape of each tensor, as a message describes them.
_Described: TypeAlias = tuple[tuple[str, str, tuple[int, ...]], ...]


@writes_text
def encode_request(request: InferRequest) -> bytes:
    """Return `request` as a ModelInferRequest.

    Raises:
        InvalidArgumentError: a tensor or parameter that the protocol has no type for, or text that is not Unicode.
    """
    chunks, described, _ = _chunks(_REQUEST.raw, request.tensors)
    chunks += (write_id(request.id), *write_parameters(request.parameters))
    names = request.model_name, request.model_version
    if request.tensor_parameters:
        header = _request_header(names, described, request.requested_outputs)
        for tensor in header.inputs:
            parameters.to_proto(request.tensor_parameters.get(tensor.name, {}), tensor.parameters)
        chunks.append(header.SerializeToString())
    else:
        chunks.append(_request_description(names, described, request.requested_outputs))
    return b"".join(chunks)


@writes_text
def encode_response(response: InferResponse) -> bytes:
    """Return `response` as a ModelInferResponse.

    Raises:
        InvalidArgumentError: a tensor or parameter that the protocol has no type for, or text that is not Unicode.
    """
    return b"".join(_response_chunks(response)[0])


@writes_text
def encode_stream_response(response: StreamResponse) -> bytes:
    """Return `response` as a ModelStreamInferResponse.

    Raises:
        InvalidArgumentError: a tensor or parameter that the protocol has no type for, or text that is not Unicode.
    """
    chunks, size_bytes = _response_chunks(response.response)
    chunks.insert(0, length_prefix(_INFER_RESPONSE, size_bytes))
    if response.error_message:
        chunks.append(pb.ModelStreamInferResponse(error_message=response.error_message).SerializeToString())
    return b"".join(chunks)


def decode_request(data: bytes) -> InferRequest:
    """Return the ModelInferRequest that `data` is; its tensors are read-only views of it.

    Raises:
        InvalidArgumentError: `data` is no such message, or its parts do not agree; names the field or the tensor.
    """
    if (known := _REQUEST.memory.recognise(data, 0, len(data))) is not None:
        rest, request_id, values, tensors = known
    else:
        header, raw = _read(_REQUEST, data, 0, len(data))
        tensors = from_wire(data, header.inputs, raw, _REQUEST.names[_REQUEST.raw])
        request_id, values = header.id, parameters.from_proto(header.parameters)
        beside = {tensor.name: _beside(tensor) for tensor in header.inputs if tensor.parameters}
        names = header.model_name, header.model_version
        rest = Rest(*names, _layouts(tensors), values, _requested(header), beside)
        if raw:
            _REQUEST.memory.remember(data, 0, len(data), rest)
    return InferRequest(
        rest.model_name,
        tensors,
        rest.model_version,
        request_id,
        values,
        rest.requested,
        rest.tensor_parameters,
    )


@from_peer
def decode_response(data: bytes) -> InferResponse:
    """Return the ModelInferResponse that `data` is; its tensors are read-only views of it.

    Raises:
        PeerProtocolError: `data` is no such message, or its parts do not agree; names the field or the tensor.
    """
    return _decode_response(data, 0, len(data))


@from_peer
def decode_stream_response(data: bytes) -> StreamResponse:
    """Return the ModelStreamInferResponse that `data` is; its tensors are read-only views of it.

    Raises:
        PeerProtocolError: `data` is no such message, or its parts do not agree; names the field or the tensor.
    """
    if (alone := _alone(data)) is not None:
        return StreamResponse(_decode_response(data, alone, len(data)))
    fields = scan(data, 0, len(data), _STREAM_NAMES)
    error = b"".join([data[start:stop] for number, start, _, stop in fields if number != _INFER_RESPONSE])
    message = parse(pb.ModelStreamInferResponse, error).error_message if error else ""
    parts = [(start, stop) for number, _, start, stop in fields if number == _INFER_RESPONSE]
    if len(parts) == 1:
        return StreamResponse(_decode_response(data, *parts[0]), message)
    if not parts and not message:
        raise InvalidArgumentError("expected error_message or infer_response, got neither")
    # protobuf merges what is there more than once, and merging is joining.
    merged = b"".join([data[start:stop] for start, stop in parts])
    return StreamResponse(_decode_response(merged, 0, len(merged)), message)


def _alone(data: bytes) -> int | None:
    """Return where an infer_response begins that is all of a message on a stream, as nearly all are; else None."""
    if data[:1] != _INFER_RESPONSE_TAG:
        return None
    size_bytes, start = read_varint(data, 1, len(data))
    return start if start + size_bytes == len(data) else None


def _response_chunks(response: InferResponse) -> tuple[list[bytes | memoryview], int]:
    """Return the pieces of a message, and its size in bytes."""
    chunks, described, size_bytes = _chunks(_RESPONSE.raw, response.tensors)
    names = response.model_name, response.model_version
    small = b"".join(
        (
            write_id(response.id),
            *write_parameters(response.parameters),
            _response_description(names, described),
        )
    )
    chunks.append(small)
    return chunks, size_bytes + len(small)


def _decode_response(data: bytes, start: int, stop: int) -> InferResponse:
    if (known := _RESPONSE.memory.recognise(data, start, stop)) is not None:
        rest, request_id, values, tensors = known
    else:
        header, raw = _read(_RESPONSE, data, start, stop)
        tensors = from_wire(data, header.outputs, raw, _RESPONSE.names[_RESPONSE.raw])
        request_id, values = header.id, parameters.from_proto(header.parameters)
        rest = Rest(header.model_name, header.model_version, _layouts(tensors), values, (), {})
        if raw:
            _RESPONSE.memory.remember(data, start, stop, rest)
    return InferResponse(rest.model_name, tensors, rest.model_version, request_id, values)


def _layouts(tensors: Tensors) -> tuple[tuple[str, "np.dtype[Any]", tuple[int, ...], int], ...]:
    return tuple((name, array.dtype, array.shape, array.nbytes) for name, array in tensors.items())


def _chunks(raw: int, tensors: Tensors) -> tuple[list[bytes | memoryview], _Described, int]:
    """Return the pieces of a message that hold its tensors, how they are described, and their size in bytes."""
    chunks: list[bytes | memoryview] = []
    described = []
    size_bytes = 0
    for name, array in tensors.items():
        datatype, values = to_wire(name, array)
        described.append((name, datatype, values.shape))
        prefix = length_prefix(raw, values.nbytes)
        chunks += (prefix, values.data)
        size_bytes += len(prefix) + values.nbytes
    return chunks, tuple(described), size_bytes


# Bounded, like what is remembered of messages that come.
@lru_cache(maxsize=256)
def _request_description(names: tuple[str, str], described: _Described, requested: tuple[str, ...]) -> bytes:
    return _request_header(names, described, requested).SerializeToString()


def _request_header(
    names: tuple[str, str], described: _Described, requested: tuple[str, ...]
) -> pb.ModelInferRequest:
    header = pb.ModelInferRequest(model_name=names[0], model_version=names[1])
    for name, datatype, shape in described:
        header.inputs.add(name=name, datatype=datatype, shape=shape)
    for name in requested:
        header.outputs.add(name=name)
    return header


@lru_cache(maxsize=256)
def _response_description(names: tuple[str, str], described: _Described) -> bytes:
    header = pb.ModelInferResponse(model_name=names[0], model_version=names[1])
    for name, datatype, shape in described:
        header.outputs.add(name=name, datatype=datatype, shape=shape)
    return header.SerializeToString()


def _read(form: _Form[_Header], data: bytes, start: int, stop: int) -> tuple[_Header, list[Span]]:
    """Return the message in `data[start:stop]` but for its raw tensors, and where those lie."""
    fields = scan(data, start, stop, form.names)
    raw = [(value, end) for number, _, value, end in fields if number == form.raw]
    small = [(number, at, end) for number, at, _, end in fields if number != form.raw]
    try:
        return parse(form.message, b"".join([data[at:end] for _, at, end in small])), raw
    except InvalidArgumentError:
        for number, at, end in small:
            _check_field(form, number, at, data[at:end])
        raise


def _check_field(form: _Form[_Header], number: int, at: int, field: bytes) -> None:
    try:
        parse(form.message, field)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(
            f"field {form.names[number]} at byte {at}: expected a well-formed value with text in UTF-8"
        ) from err


def _beside(tensor: pb.ModelInferRequest.InferInputTensor) -> dict[str, Parameter]:
    try:
        return parameters.from_proto(tensor.parameters)
    except InvalidArgumentError as err:
        raise InvalidArgumentError(f"tensor {quote(tensor.name)}: {err}") from err


def _requested(header: pb.ModelInferRequest) -> tuple[str, ...]:
    names = tuple(output.name for output in header.outputs)
    if len(set(names)) != len(names):
        raise InvalidArgumentError("outputs: a tensor is asked for twice")
    for output in header.outputs:
        for parameter in _REFUSED_OUTPUT_PARAMETERS:
            if parameter in output.parameters:
                raise InvalidArgumentError(
                    f"output {quote(output.name)}: {parameter} is not supported; ask for the tensor itself"
                )
    return names
