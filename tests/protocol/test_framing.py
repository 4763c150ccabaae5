"""What is encoded is decoded, to the bit, and large tensors are not copied on the way in."""

import math

import numpy as np
import pytest
from hypothesis import given

from splitnet.errors import InvalidArgumentError
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
from splitnet.tensors import DTYPES, Array
from tests.protocol.strategies import REQUESTS, RESPONSES, STREAM_RESPONSES, bits, contents_of


@given(REQUESTS)
def test_a_request_comes_back(request: InferRequest) -> None:
    assert contents_of(decode_request(encode_request(request))) == contents_of(request)


@given(RESPONSES)
def test_a_response_comes_back(response: InferResponse) -> None:
    assert contents_of(decode_response(encode_response(response))) == contents_of(response)


@given(STREAM_RESPONSES)
def test_a_stream_response_comes_back(response: StreamResponse) -> None:
    back = decode_stream_response(encode_stream_response(response))
    assert back.error_message == response.error_message
    assert contents_of(back.response) == contents_of(response.response)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 4), (1,) * 32])
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_element_type_and_shape(dtype: str, shape: tuple[int, ...]) -> None:
    array = (np.arange(math.prod(shape)) % 2).astype(dtype).reshape(shape)
    back = decode_request(encode_request(InferRequest("m", {"x": array}))).tensors["x"]
    assert bits(back) == bits(array)
    assert back.dtype.isnative


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_special_floats_are_carried_untouched(dtype: str) -> None:
    array = np.array([math.nan, -math.nan, math.inf, -math.inf, -0.0, np.finfo(dtype).smallest_subnormal], dtype)
    back = decode_response(encode_response(InferResponse("m", {"y": array}))).tensors["y"]
    assert back.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if np.dtype(dtype).itemsize <= 4])
def test_a_large_tensor_is_read_in_place(dtype: str) -> None:
    array = np.ones(800_000 // np.dtype(dtype).itemsize, dtype=dtype)
    sent = encode_request(InferRequest("m", {"x": array, "y": array}))
    answer = encode_stream_response(StreamResponse(InferResponse("m", {"x": array})))
    whole = np.frombuffer(sent, np.uint8)
    received = decode_request(sent).tensors
    assert all(np.shares_memory(tensor, whole) for tensor in received.values())
    assert np.shares_memory(decode_stream_response(answer).response.tensors["x"], np.frombuffer(answer, np.uint8))


@given(REQUESTS)
def test_tensors_are_aligned_contiguous_and_read_only(request: InferRequest) -> None:
    for array in decode_request(encode_request(request)).tensors.values():
        assert array.flags.aligned
        assert array.flags.c_contiguous
        assert not array.flags.writeable


@pytest.mark.parametrize("dtype", ["int8", "int32", "float64"])
def test_a_tensor_behind_its_description_is_aligned_too(dtype: str) -> None:
    array = np.arange(24, dtype=dtype).reshape(2, 3, 4)
    for length in range(8):  # of a name, by which the values are shifted
        message = pb.ModelInferRequest(model_name="m" * length, raw_input_contents=[array.tobytes()])
        message.inputs.add(name="x", datatype=to_datatype(dtype), shape=array.shape)
        for _ in range(2):  # read, and recognised
            back = decode_request(message.SerializeToString()).tensors["x"]
            assert (back.flags.aligned, back.flags.writeable) == (True, False)
            assert np.array_equal(back, array)


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"k": math.nan}, "'k': expected a finite number, got nan"),
        ({"k": -math.inf}, "'k': expected a finite number, got -inf"),
        ({"k": 2**64}, "'k': expected -2\\*\\*63 to 2\\*\\*64 - 1"),
        ({"k": -(2**63) - 1}, "'k': expected -2\\*\\*63 to 2\\*\\*64 - 1"),
        ({"k": 10**5000}, "'k': expected -2\\*\\*63 to 2\\*\\*64 - 1"),
        ({"k": b"bytes"}, "'k': expected bool, int, float or str, got bytes"),
        ({"k": "\ud800"}, "UTF-8"),
        ({"\ud800": 1}, "UTF-8"),
    ],
)
def test_a_parameter_that_cannot_be_sent_is_refused(parameters: dict[str, Parameter], text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=text):
        encode_request(InferRequest("m", {}, parameters=parameters))
    with pytest.raises(InvalidArgumentError, match=text):
        encode_response(InferResponse("m", {}, parameters=parameters))


@pytest.mark.parametrize(
    "array", [np.array(["text"]), np.array([1j]), np.array([None]), np.array(["2026-11-21"], "datetime64[D]")]
)
def test_an_element_type_that_cannot_be_sent_is_refused(array: Array) -> None:
    with pytest.raises(InvalidArgumentError, match=r"tensor 'x': element type .* is not supported"):
        encode_request(InferRequest("m", {"x": array}))


def test_names_that_are_not_unicode_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        encode_request(InferRequest("\udfff", {}))
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        encode_response(InferResponse("m", {"\udfff": np.zeros(1)}))
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        encode_stream_response(StreamResponse(InferResponse("m", {}), "\udfff"))
