"""Bytes that are no message: each raises the error that says who is to blame, and nothing else ever escapes."""

import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError, PeerProtocolError, SplitNetError
from splitnet.protocol import (
    METHODS,
    InferRequest,
    InferResponse,
    Method,
    ModelMetadata,
    Parameter,
    StreamResponse,
    TensorMetadata,
    decode_request,
    decode_response,
    decode_stream_response,
    encode_request,
    encode_response,
    encode_stream_response,
)
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.wire import MAX_FIELDS

_TENSORS = {"x": np.arange(6, dtype=np.float32).reshape(2, 3), "mask": np.array([True, False])}
_PARAMETERS: dict[str, Parameter] = {"flag": True, "count": -3, "time": 0.5, "plan": "täglich"}
_REQUEST = encode_request(InferRequest("model.edge", _TENSORS, "1", "id", _PARAMETERS, ("y", "z")))
_RESPONSE = InferResponse("model.edge", _TENSORS, "1", "id", _PARAMETERS)
_VALID = {
    "request": _REQUEST,
    "response": encode_response(_RESPONSE),
    "stream": encode_stream_response(StreamResponse(_RESPONSE, "error")),
}

Decode = Callable[[bytes], object]
_DECODERS: dict[str, tuple[Decode, type[SplitNetError]]] = {
    "request": (decode_request, InvalidArgumentError),
    "response": (decode_response, PeerProtocolError),
    "stream": (decode_stream_response, PeerProtocolError),
}
KINDS = pytest.mark.parametrize("kind", list(_DECODERS))


def _only_the_named_error(kind: str, data: bytes) -> None:
    decode, error = _DECODERS[kind]
    try:
        decode(data)
    except error as err:
        assert len(str(err)) < 2000  # noqa: PT017  # a status line is bounded, and most data are no error


@KINDS
@given(data=st.binary(max_size=200))
def test_any_bytes(kind: str, data: bytes) -> None:
    _only_the_named_error(kind, data)


@KINDS
def test_every_truncation(kind: str) -> None:
    for size in range(len(_VALID[kind])):
        _only_the_named_error(kind, _VALID[kind][:size])


@KINDS
@given(st.data())
def test_mutations(kind: str, data: st.DataObject) -> None:
    mutated = bytearray(_VALID[kind])
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(mutated) - 1))
        until = at + data.draw(st.integers(0, 3))
        mutated[at:until] = data.draw(st.binary(max_size=3))
        mutated = mutated or bytearray(1)
    _only_the_named_error(kind, bytes(mutated))


@KINDS
def test_every_single_byte_changed(kind: str) -> None:
    for at in range(len(_VALID[kind])):
        for value in (0x00, 0x01, 0x7F, 0x80, 0xFF):
            mutated = bytearray(_VALID[kind])
            mutated[at] = value
            _only_the_named_error(kind, bytes(mutated))


_INT64S = st.integers(-(2**63), 2**63 - 1) | st.integers(-1, 4) | st.sampled_from([2**31, 2**32, 2**62, 2**63 - 1])
_TEXT = st.text(st.characters(codec="utf-8"), max_size=3)
_CONTENTS = st.builds(
    pb.InferTensorContents,
    bool_contents=st.lists(st.booleans(), max_size=2),
    int_contents=st.lists(st.integers(-(2**31), 2**31 - 1), max_size=2),
    uint_contents=st.lists(st.integers(0, 2**32 - 1), max_size=2),
    fp32_contents=st.lists(st.floats(width=32), max_size=2),
    bytes_contents=st.lists(st.binary(max_size=2), max_size=1),
) | st.builds(pb.InferTensorContents, int_contents=st.lists(st.integers(-300, 300), max_size=4))
_INPUTS = st.builds(
    pb.ModelInferRequest.InferInputTensor,
    name=_TEXT,
    datatype=st.sampled_from(
        ["BOOL", "INT8", "INT32", "INT64", "UINT8", "FP16", "FP32", "BYTES", "BF16", "", "fp32"]
    ),
    shape=st.lists(_INT64S, max_size=4) | st.lists(st.integers(0, 2), max_size=40),
    contents=st.none() | _CONTENTS,
)
_MESSAGES = st.builds(
    pb.ModelInferRequest,
    model_name=_TEXT,
    inputs=st.lists(_INPUTS, max_size=3),
    raw_input_contents=st.lists(st.binary(max_size=16), max_size=3),
    parameters=st.dictionaries(
        _TEXT,
        st.builds(pb.InferParameter) | st.builds(pb.InferParameter, double_param=st.floats()),
        max_size=2,
    ),
)


@given(_MESSAGES)
def test_well_formed_nonsense(message: pb.ModelInferRequest) -> None:
    _only_the_named_error("request", message.SerializeToString())


def _input(**fields: Any) -> pb.ModelInferRequest.InferInputTensor:
    return pb.ModelInferRequest.InferInputTensor(**{"name": "x", "datatype": "FP32", "shape": [1], **fields})


def _contents(**fields: Any) -> pb.InferTensorContents:
    return pb.InferTensorContents(**fields)


def _request(*inputs: pb.ModelInferRequest.InferInputTensor, raw: tuple[bytes, ...] = (), **fields: Any) -> bytes:
    message = pb.ModelInferRequest(model_name="m", inputs=inputs, raw_input_contents=raw, **fields)
    return message.SerializeToString()


_REGION = {"shared_memory_region": pb.InferParameter(string_param="region")}
_OUTPUT = pb.ModelInferRequest.InferRequestedOutputTensor
_SHAPE_MEETS = r"expected 24 bytes for FP32 \[2, 3\], got 20"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (_request(_input(datatype="FP8"), raw=(bytes(1),)), "tensor 'x': datatype 'FP8' is not supported"),
        (
            _request(_input(parameters={"p": pb.InferParameter()}), raw=(bytes(4),)),
            "tensor 'x': parameter 'p' has no value",
        ),
        (
            _request(_input(parameters={"p": pb.InferParameter(double_param=math.inf)}), raw=(bytes(4),)),
            "tensor 'x': parameter 'p': expected a finite number",
        ),
        (_request(_input(datatype="fp32"), raw=(bytes(4),)), "tensor 'x': datatype 'fp32' is not supported"),
        (_request(_input(datatype="BYTES"), raw=(bytes(4),)), "tensor 'x': datatype 'BYTES'.*no fixed size"),
        (_request(_input(datatype="BF16"), raw=(bytes(2),)), "tensor 'x': datatype 'BF16'.*bfloat16"),
        (_request(_input(shape=[2, -1]), raw=(bytes(8),)), r"tensor 'x': negative size in shape \[2, -1\]"),
        (_request(_input(shape=[2**62, 2]), raw=(b"",)), "tensor 'x': shape .* exceeds"),
        (_request(_input(shape=[2**32, 2**32]), raw=(b"",)), "tensor 'x': shape .* exceeds"),
        (_request(_input(shape=[0, 2**62]), raw=(b"",)), "tensor 'x': shape .* exceeds"),
        (_request(_input(shape=[2**61], contents=_contents(fp32_contents=[1]))), "tensor 'x': shape .* exceeds"),
        (_request(_input(shape=[1] * 33), raw=(bytes(4),)), "tensor 'x': expected at most 32 axes, got 33"),
        (_request(_input(shape=[2, 3]), raw=(bytes(20),)), f"tensor 'x': {_SHAPE_MEETS}"),
        (_request(_input(shape=[2**40]), raw=(bytes(20),)), "tensor 'x': expected 4398046511104 bytes"),
        (_request(_input(), raw=(bytes(4),) * 2), "raw_input_contents: expected one entry a tensor, 1, got 2"),
        (_request(_input(), _input(name="y"), raw=(bytes(4),)), "expected one entry a tensor, 2, got 1"),
        (_request(raw=(bytes(4),)), "expected one entry a tensor, 0, got 1"),
        (_request(_input(), _input(), raw=(bytes(4),) * 2), "tensor 'x' is there twice"),
        (_request(_input(datatype="BOOL"), raw=(b"\2",)), "tensor 'x': expected bytes 0 and 1 for BOOL"),
        (_request(_input(parameters=_REGION)), "tensor 'x': shared memory is not supported"),
        (_request(_input()), "tensor 'x': expected 1 values in raw_input_contents or fp32_contents, got 0"),
        (_request(_input(datatype="FP16")), "tensor 'x': expected 1 values in raw_input_contents, got 0"),
        (
            _request(_input(contents=_contents(fp32_contents=[1, 2]))),
            "tensor 'x': expected 1 values in raw_input_contents or fp32_contents, got 2",
        ),
        (
            _request(_input(contents=_contents(fp64_contents=[1]))),
            "tensor 'x': expected FP32 in fp32_contents, got fp64_contents",
        ),
        (
            _request(_input(datatype="FP16", contents=_contents(fp32_contents=[1]))),
            "tensor 'x': expected FP16 in raw_input_contents, got fp32_contents",
        ),
        (
            _request(_input(datatype="INT8", contents=_contents(int_contents=[-129]))),
            "tensor 'x': expected values of INT8, got -129 to -129",
        ),
        (
            _request(_input(datatype="UINT16", contents=_contents(uint_contents=[65536]))),
            "tensor 'x': expected values of UINT16, got 65536",
        ),
        (
            _request(_input(contents=_contents(fp32_contents=[1])), raw=(bytes(4),)),
            "tensor 'x': values both raw and in `contents`",
        ),
        (
            _request(_input(), _input(name="y", contents=_contents(fp32_contents=[1])), raw=(bytes(4),) * 2),
            "tensor 'y': values both raw and in `contents`",
        ),
        (_request(parameters={"k": pb.InferParameter()}), "parameter 'k' has no value"),
        (
            _request(parameters={"k": pb.InferParameter(double_param=float("inf"))}),
            "parameter 'k': expected a finite number, got inf",
        ),
        (_request(outputs=[_OUTPUT(name="y"), _OUTPUT(name="y")]), "outputs: a tensor is asked for twice"),
        (
            _request(outputs=[_OUTPUT(name="y", parameters={"classification": pb.InferParameter(int64_param=3)})]),
            "output 'y': classification is not supported",
        ),
        (_request(outputs=[_OUTPUT(name="y", parameters=_REGION)]), "output 'y': shared_memory_region is not"),
        (b"\x0a\x02\xff\xff", "field model_name at byte 0: .* UTF-8"),
        (_request() + b"\x2a\x04\x0a\x02\xff\xff", "field inputs at byte 3: .* UTF-8"),
        (_request() + b"\x2a\x01\x0a", "field inputs at byte 3: expected a well-formed value"),
        (b"\x0a\x05abc", "field model_name at byte 0 is cut off: expected 5 bytes, 3 are left"),
        (
            b"\x3a\xff\xff\xff\xff\x7fabc",
            "field raw_input_contents at byte 0 is cut off: expected 34359738367 bytes",
        ),
        (b"\x52\x05abc", "unknown field 10 at byte 0 is cut off: expected 5 bytes, 3 are left"),
        (b"\x3a", "the number at byte 1 is cut off after 0 bytes"),
        (b"\x0a\x80", "the number at byte 1 is cut off after 1 bytes"),
        (b"\xff\xff", "the number at byte 0 is cut off after 2 bytes"),
        (b"\xff" * 12, "the number at byte 0 does not fit into 64 bits"),
        (b"\xff" * 9 + b"\x02", "the number at byte 0 does not fit into 64 bits"),
        (b"\x38\x01", "field raw_input_contents before byte 1: expected wire type 2, got 0"),
        (b"\x0d\0\0\0\0", "field model_name before byte 1: expected wire type 2, got 5"),
        (b"\x53", "unknown field 10 before byte 1: unknown wire type 3"),
        (b"\x56", "unknown field 10 before byte 1: unknown wire type 6"),
        (b"\x51\0\0\0", "unknown field 10 at byte 0 is cut off: expected 8 bytes, 3 are left"),
        (b"\x02\x00", "byte 1: field number 0 is not in 1 to"),
        (b"\xfa\xff\xff\xff\x7f\x00", "byte 5: field number 4294967295 is not in 1 to"),
        (b"\x3a\x00" * (MAX_FIELDS + 1), f"the message has more than {MAX_FIELDS} fields"),
    ],
)
def test_what_is_wrong_is_named(data: bytes, text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        decode_request(data)


def test_a_peers_answer_is_blamed_on_the_peer() -> None:
    output = pb.ModelInferResponse.InferOutputTensor(name="y", datatype="FP32", shape=[2, 3])
    message = pb.ModelInferResponse(outputs=[output], raw_output_contents=[bytes(20)])
    with pytest.raises(PeerProtocolError, match=f"the peer's answer: tensor 'y': {_SHAPE_MEETS}"):
        decode_response(message.SerializeToString())
    with pytest.raises(PeerProtocolError, match=f"the peer's answer: tensor 'y': {_SHAPE_MEETS}"):
        decode_stream_response(pb.ModelStreamInferResponse(infer_response=message).SerializeToString())


def test_an_empty_stream_response_is_refused() -> None:
    with pytest.raises(PeerProtocolError, match="expected error_message or infer_response, got neither"):
        decode_stream_response(b"")


def test_a_long_name_does_not_fill_the_error() -> None:
    with pytest.raises(InvalidArgumentError, match=r"… \(1000000 characters\)") as caught:
        decode_request(_request(_input(name="n" * 1_000_000)))
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
@given(data=st.binary(max_size=60))
def test_every_method_raises_the_named_errors_only(method: Method[Any, Any], data: bytes) -> None:
    with suppress(InvalidArgumentError):
        method.decode_request(data)
    with suppress(PeerProtocolError):
        method.decode_response(data)


def test_metadata_that_cannot_be_is_refused() -> None:
    method = next(method for method in METHODS if method.name == "ModelMetadata")
    axis = TensorMetadata("x", "FP32", (-2,))
    whole = TensorMetadata("x", "FP32", (1,))
    for inputs, text in (((axis,), "input 'x': expected sizes from -1"), ((whole, whole), "'x' is there twice")):
        data = method.encode_response(ModelMetadata("m", (), "p", inputs, ()))
        with pytest.raises(PeerProtocolError, match=text):
            method.decode_response(data)
