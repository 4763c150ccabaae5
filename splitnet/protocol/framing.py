"""Inference messages <-> bytes, framed by hand around their tensors.

protobuf copies a tensor several times on its way; here it writes and reads the small fields only, and one join
or one view moves the tensors. A message begins with them: protobuf takes fields in any order, and behind tag
and length, 4 bytes at 16 KiB to 2 MiB, a tensor of 1, 2 or 4 bytes an element is aligned where it is read, and
need not be copied there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from google.protobuf.message import Message

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol import parameters
from splitnet.protocol.contents import Span, from_wire, to_wire
from splitnet.protocol.messages import InferRequest, InferResponse, Parameter, StreamResponse
from splitnet.protocol.parsing import from_peer, parse, writes_text
from splitnet.protocol.quoting import quote
from splitnet.protocol.wire import length_prefix, scan
from splitnet.tensors import Tensors

_Header = TypeVar("_Header", bound=Message)


@dataclass(frozen=True, slots=True)
class _Form(Generic[_Header]):
    """A message with tensors: its protobuf type, the names of its fields, and the field of raw tensors."""

    message: type[_Header]
    names: dict[int, str]
    raw: int


def _names(message: type[Message]) -> dict[int, str]:
    return {field.number: field.name for field in message.DESCRIPTOR.fields}


_REQUEST = _Form(
    pb.ModelInferRequest, _names(pb.ModelInferRequest), pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER
)
_RESPONSE = _Form(
    pb.ModelInferResponse, _names(pb.ModelInferResponse), pb.ModelInferResponse.RAW_OUTPUT_CONTENTS_FIELD_NUMBER
)
_STREAM_NAMES = _names(pb.ModelStreamInferResponse)
_INFER_RESPONSE = pb.ModelStreamInferResponse.INFER_RESPONSE_FIELD_NUMBER

#: What a client may ask of an output and would not get.
_REFUSED_OUTPUT_PARAMETERS = ("classification", "shared_memory_region")


@writes_text
def encode_request(request: InferRequest) -> bytes:
    """Return `request` as a ModelInferRequest.

    Raises:
        InvalidArgumentError: a tensor or parameter that the protocol has no type for, or text that is not Unicode.
    """
    header = pb.ModelInferRequest(
        model_name=request.model_name, model_version=request.model_version, id=request.id
    )
    parameters.to_proto(request.parameters, header.parameters)
    for name in request.requested_outputs:
        header.outputs.add(name=name)
    chunks = _chunks(header.inputs.add, _REQUEST.raw, request.tensors, request.tensor_parameters)
    return b"".join((*chunks, header.SerializeToString()))


@writes_text
def encode_response(response: InferResponse) -> bytes:
    """Return `response` as a ModelInferResponse.

    Raises:
        InvalidArgumentError: a tensor or parameter that the protocol has no type for, or text that is not Unicode.
    """
    return b"".join(_response_chunks(response))


@writes_text
def encode_stream_response(response: StreamResponse) -> bytes:
    """Return `response` as a ModelStreamInferResponse.

    Raises:
        InvalidArgumentError: a tensor or parameter that the protocol has no type for, or text that is not Unicode.
    """
    chunks = _response_chunks(response.response)
    size_bytes = sum(chunk.nbytes if isinstance(chunk, memoryview) else len(chunk) for chunk in chunks)
    error = pb.ModelStreamInferResponse(error_message=response.error_message).SerializeToString()
    return b"".join((length_prefix(_INFER_RESPONSE, size_bytes), *chunks, error))


def decode_request(data: bytes) -> InferRequest:
    """Return the ModelInferRequest that `data` is; its tensors are read-only views of it.

    Raises:
        InvalidArgumentError: `data` is no such message, or its parts do not agree; names the field or the tensor.
    """
    header, raw = _read(_REQUEST, data, 0, len(data))
    return InferRequest(
        model_name=header.model_name,
        tensors=from_wire(data, header.inputs, raw, _REQUEST.names[_REQUEST.raw]),
        model_version=header.model_version,
        id=header.id,
        parameters=parameters.from_proto(header.parameters),
        requested_outputs=_requested(header),
        tensor_parameters={tensor.name: _beside(tensor) for tensor in header.inputs if tensor.parameters},
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


def _response_chunks(response: InferResponse) -> list[bytes | memoryview]:
    header = pb.ModelInferResponse(
        model_name=response.model_name, model_version=response.model_version, id=response.id
    )
    parameters.to_proto(response.parameters, header.parameters)
    chunks = _chunks(header.outputs.add, _RESPONSE.raw, response.tensors, {})
    return [*chunks, header.SerializeToString()]


def _decode_response(data: bytes, start: int, stop: int) -> InferResponse:
    header, raw = _read(_RESPONSE, data, start, stop)
    return InferResponse(
        model_name=header.model_name,
        tensors=from_wire(data, header.outputs, raw, _RESPONSE.names[_RESPONSE.raw]),
        model_version=header.model_version,
        id=header.id,
        parameters=parameters.from_proto(header.parameters),
    )


def _chunks(
    describe: Callable[..., Any],
    raw: int,
    tensors: Tensors,
    tensor_parameters: Mapping[str, Mapping[str, Parameter]],
) -> list[bytes | memoryview]:
    """Describe `tensors` through their field's `add`, and return the pieces that go before all descriptions."""
    chunks: list[bytes | memoryview] = []
    for name, array in tensors.items():
        datatype, values = to_wire(name, array)
        described = describe(name=name, datatype=datatype, shape=values.shape)
        if name in tensor_parameters:
            parameters.to_proto(tensor_parameters[name], described.parameters)
        chunks += (length_prefix(raw, values.nbytes), values.data)
    return chunks


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
