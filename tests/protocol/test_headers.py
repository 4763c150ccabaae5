"""A message that is like one before says the same as to a reader who has seen none."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import SplitNetError
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    Parameter,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.headers import Memory, Rest, write_parameters
from tests.protocol.strategies import PARAMETERS, REQUESTS, RESPONSES, TEXTS, contents_of

REQUEST_NAMES = {field.number: field.name for field in pb.ModelInferRequest.DESCRIPTOR.fields}
TIMINGS = st.dictionaries(
    st.sampled_from(["a_ms", "b_ms", "é"]), st.floats(allow_nan=False, allow_infinity=False), max_size=3
)
GOOD = InferRequest(
    "m.edge", {"x": np.arange(6, dtype=np.float32)}, "1", "0123456789abcdef", {"plan": "p", "ms": 0.5, "left": 90}
)


def forgetful(decode: Callable[[bytes], Any], data: bytes) -> Any:
    """Decode as somebody who has seen no message before: protobuf alone reads it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Memory, "recognise", lambda *_: None)
        patch.setattr(Memory, "remember", lambda *_: None)
        return decode(data)


def outcome(decode: Callable[[], Any]) -> Any:
    """What a message says, or what is said against it."""
    try:
        return contents_of(decode())
    except SplitNetError as err:
        return str(err)


@given(REQUESTS, TEXTS, TIMINGS)
def test_a_request_like_one_before(first: InferRequest, next_id: str, timings: dict[str, float]) -> None:
    decode_request(encode_request(first))
    second = replace(first, id=next_id, parameters={**timings, **first.parameters})
    data = encode_request(second)
    assert contents_of(decode_request(data)) == contents_of(forgetful(decode_request, data)) == contents_of(second)


@given(RESPONSES, TEXTS, TIMINGS, TIMINGS)
def test_a_response_like_one_before(
    first: InferResponse, next_id: str, before: dict[str, float], timings: dict[str, float]
) -> None:
    decode_response(encode_response(replace(first, parameters={**before, **first.parameters})))
    second = replace(first, id=next_id, parameters={**timings, **first.parameters})
    data = encode_response(second)
    assert contents_of(decode_response(data)) == contents_of(second)


@given(data=st.data())
def test_a_message_with_a_fault_like_a_good_one_before(data: st.DataObject) -> None:
    decode_request(encode_request(GOOD))
    message = bytearray(encode_request(replace(GOOD, id=data.draw(TEXTS), parameters={"ms": 1.5, "left": 90})))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(message)))
        stop = min(len(message), start + data.draw(st.integers(0, 6)))
        message[start:stop] = data.draw(st.binary(max_size=6) | st.just(bytes(message[start:stop]) * 2))
    sent = bytes(message)
    assert outcome(lambda: decode_request(sent)) == outcome(lambda: forgetful(decode_request, sent))


@given(PARAMETERS)
def test_parameters_are_written_as_protobuf_reads_them(values: dict[str, Any]) -> None:
    message = pb.ModelInferRequest.FromString(b"".join(write_parameters(values)))
    assert decode_request(message.SerializeToString()).parameters == values


def test_it_recognises_ours() -> None:
    """Or all of the above would say nothing."""
    memory = Memory(pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER, REQUEST_NAMES)
    data = encode_request(GOOD)
    request = decode_request(data)
    layouts = tuple((name, array.dtype, array.shape, array.nbytes) for name, array in request.tensors.items())
    rest = Rest(request.model_name, request.model_version, layouts, request.parameters, (), {})
    assert memory.recognise(data, 0, len(data)) is None
    memory.remember(data, 0, len(data), rest)
    other = encode_request(replace(GOOD, id="7", parameters={**GOOD.parameters, "ms": -3.25}))
    known = memory.recognise(other, 0, len(other))
    assert known is not None
    assert (known[1], known[2]) == ("7", {"plan": "p", "ms": -3.25, "left": 90})
    assert known[3]["x"].tolist() == [0, 1, 2, 3, 4, 5]
    unlike_parameters: list[dict[str, Parameter]] = [
        {"plan": "q"},
        {"plan": "p", "left": 89},
        {"ms": float(1), "other_ms": 0.5},
    ]
    for changed in unlike_parameters:
        unlike = encode_request(replace(GOOD, parameters=changed))
        assert memory.recognise(unlike, 0, len(unlike)) is None


def test_what_is_remembered_is_bounded() -> None:
    memory = Memory(pb.ModelInferRequest.RAW_INPUT_CONTENTS_FIELD_NUMBER, REQUEST_NAMES)
    for index in range(5_000):
        parameters = {f"timing {index}": 0.5, "n": index}
        data = encode_request(InferRequest("m", {"x": np.zeros(1, np.float32)}, parameters=parameters))
        layouts = (("x", np.dtype("float32"), (1,), 4),)
        memory.remember(data, 0, len(data), Rest("m", "", layouts, parameters, (), {}))
    long = encode_request(InferRequest("m" * 10_000, {"x": np.zeros(1, np.float32)}))
    memory.remember(long, 0, len(long), Rest("m" * 10_000, "", layouts, {}, (), {}))
    assert len(memory._rests) <= 1024
    assert len(memory._timings) <= 64
    assert max(map(len, memory._rests)) <= 2048
