"""Our framing and protobuf's own serialisation are two ways to write the same messages."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import PeerProtocolError
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    Parameter,
    StreamResponse,
    decode_request,
    decode_response,
    decode_stream_response,
    encode_request,
    encode_response,
    encode_stream_response,
    to_datatype,
)
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.tensors import Array
from tests.protocol.strategies import (
    REQUESTS,
    RESPONSES,
    STREAM_RESPONSES,
    TEXTS,
    bits,
    contents_of,
    contiguous_arrays,
)

_PARAMETER_FIELDS = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}

#: For each list of InferTensorContents, the element types that it may hold.
_LISTS = {
    "bool_contents": ("bool",),
    "int_contents": ("int8", "int16", "int32"),
    "int64_contents": ("int64",),
    "uint_contents": ("uint8", "uint16", "uint32"),
    "uint64_contents": ("uint64",),
    "fp32_contents": ("float32",),
    "fp64_contents": ("float64",),
}
_LIST_OF = {dtype: name for name, dtypes in _LISTS.items() for dtype in dtypes}


def _parameter(value: Parameter) -> pb.InferParameter:
    wide = type(value) is int and value >= 2**63
    parameter = pb.InferParameter()
    setattr(parameter, "uint64_param" if wide else _PARAMETER_FIELDS[type(value)], value)
    return parameter


def _parameters(parameters: Mapping[str, Parameter]) -> dict[str, pb.InferParameter]:
    return {name: _parameter(value) for name, value in parameters.items()}


def _little_endian(array: Array) -> bytes:
    return array.astype(array.dtype.newbyteorder("<")).tobytes()


def _header_fields(message: InferRequest | InferResponse) -> dict[str, Any]:
    return {
        "model_name": message.model_name,
        "model_version": message.model_version,
        "id": message.id,
        "parameters": _parameters(message.parameters),
    }


def request_to_proto(request: InferRequest) -> pb.ModelInferRequest:
    """Build the message as any user of protobuf would."""
    entry = pb.ModelInferRequest.InferInputTensor
    return pb.ModelInferRequest(
        **_header_fields(request),
        inputs=[
            entry(
                name=name,
                datatype=to_datatype(array.dtype.name),
                shape=array.shape,
                parameters=_parameters(request.tensor_parameters.get(name, {})),
            )
            for name, array in request.tensors.items()
        ],
        outputs=[pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in request.requested_outputs],
        raw_input_contents=[_little_endian(array) for array in request.tensors.values()],
    )


def response_to_proto(response: InferResponse) -> pb.ModelInferResponse:
    """Build the message as any user of protobuf would."""
    entry = pb.ModelInferResponse.InferOutputTensor
    return pb.ModelInferResponse(
        **_header_fields(response),
        outputs=[
            entry(name=name, datatype=to_datatype(array.dtype.name), shape=array.shape)
            for name, array in response.tensors.items()
        ],
        raw_output_contents=[_little_endian(array) for array in response.tensors.values()],
    )


def stream_to_proto(response: StreamResponse) -> pb.ModelStreamInferResponse:
    """Build the message as any user of protobuf would."""
    return pb.ModelStreamInferResponse(
        error_message=response.error_message, infer_response=response_to_proto(response.response)
    )


@given(REQUESTS)
def test_protobuf_reads_our_requests(request: InferRequest) -> None:
    assert pb.ModelInferRequest.FromString(encode_request(request)) == request_to_proto(request)


@given(RESPONSES)
def test_protobuf_reads_our_responses(response: InferResponse) -> None:
    assert pb.ModelInferResponse.FromString(encode_response(response)) == response_to_proto(response)


@given(STREAM_RESPONSES)
def test_protobuf_reads_our_stream_responses(response: StreamResponse) -> None:
    assert pb.ModelStreamInferResponse.FromString(encode_stream_response(response)) == stream_to_proto(response)


@given(REQUESTS)
def test_our_bytes_are_as_many_as_protobufs(request: InferRequest) -> None:
    assert len(encode_request(request)) == request_to_proto(request).ByteSize()


@given(REQUESTS)
def test_we_read_protobufs_requests(request: InferRequest) -> None:
    data = request_to_proto(request).SerializeToString()
    assert contents_of(decode_request(data)) == contents_of(request)


@given(RESPONSES)
def test_we_read_protobufs_responses(response: InferResponse) -> None:
    data = response_to_proto(response).SerializeToString()
    assert contents_of(decode_response(data)) == contents_of(response)


@given(STREAM_RESPONSES)
def test_we_read_protobufs_stream_responses(response: StreamResponse) -> None:
    back = decode_stream_response(stream_to_proto(response).SerializeToString())
    assert back.error_message == response.error_message
    assert contents_of(back.response) == contents_of(response.response)


def _pieces(message: Message) -> dict[str, list[bytes]]:
    """The message as fragments of one entry each, by field; joined in any order they are a message again."""
    return {
        field.name: [type(message)(**entry).SerializeToString() for entry in _entries(field.name, value)]
        for field, value in message.ListFields()
    }


def _entries(name: str, value: Any) -> list[dict[str, Any]]:
    if name == "parameters":
        return [{name: {key: value[key]}} for key in value]
    return [{name: value}] if isinstance(value, str) else [{name: [entry]} for entry in value]


@given(REQUESTS, st.data())
def test_fields_come_in_any_order(request: InferRequest, data: st.DataObject) -> None:
    pieces = _pieces(request_to_proto(request))
    order = data.draw(st.permutations([name for name, entries in pieces.items() for _ in entries]))
    shuffled = b"".join(pieces[name].pop(0) for name in order)
    assert contents_of(decode_request(shuffled)) == contents_of(request)


@given(RESPONSES, RESPONSES)
def test_joined_messages_merge(first: InferResponse, second: InferResponse) -> None:
    joined = encode_response(first) + encode_response(second)
    merged = pb.ModelInferResponse.FromString(joined)
    stream = b"".join(encode_stream_response(StreamResponse(response)) for response in (first, second))
    if set(first.tensors) & set(second.tensors):
        with pytest.raises(PeerProtocolError, match="is there twice"):
            decode_response(joined)
        with pytest.raises(PeerProtocolError, match="is there twice"):
            decode_stream_response(stream)
        return
    for decoded in (decode_response(joined), decode_stream_response(stream).response):
        assert response_to_proto(decoded) == merged


@given(REQUESTS, st.integers(8, 2**29 - 1), TEXTS)
def test_fields_of_a_newer_peer_are_passed_over(request: InferRequest, number: int, text: str) -> None:
    def varint(value: int) -> bytes:
        head = bytes((value & 0x7F | (0x80 if value > 0x7F else 0),))
        return head + varint(value >> 7) if value > 0x7F else head

    value = text.encode()
    extra = b"".join(
        (
            varint(number << 3 | 2) + varint(len(value)) + value,
            varint(number << 3) + varint(number),
            varint(number << 3 | 1) + bytes(8),
            varint(number << 3 | 5) + bytes(4),
        )
    )
    assert contents_of(decode_request(extra + encode_request(request) + extra)) == contents_of(request)


def _typed(array: Array) -> pb.ModelInferRequest.InferInputTensor:
    list_name = _LIST_OF[array.dtype.name]
    return pb.ModelInferRequest.InferInputTensor(
        name="x",
        datatype=to_datatype(array.dtype.name),
        shape=array.shape,
        contents=pb.InferTensorContents(**{list_name: array.ravel().tolist()}),
    )


@given(contiguous_arrays().filter(lambda array: array.dtype != np.float16))
def test_typed_contents_are_read(array: Array) -> None:
    array = np.nan_to_num(array)  # a Python float does not keep a NaN's payload
    data = pb.ModelInferRequest(model_name="m", inputs=[_typed(array)]).SerializeToString()
    back = decode_request(data).tensors["x"]
    assert bits(back) == bits(array)
    assert not back.flags.writeable


def test_typed_contents_are_read_from_a_peers_answer() -> None:
    output = pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[2, 1])
    output.contents.fp32_contents.extend([1.5, float("nan")])
    tensor = decode_response(pb.ModelInferResponse(outputs=[output]).SerializeToString()).tensors["y"]
    np.testing.assert_array_equal(tensor, np.array([[1.5], [np.nan]], np.float32))


def test_an_error_without_a_response_is_read() -> None:
    back = decode_stream_response(pb.ModelStreamInferResponse(error_message="no such model").SerializeToString())
    assert back.error_message == "no such model"
    assert not back.response.tensors
