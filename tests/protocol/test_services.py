"""The table of methods agrees with the .proto, and its functions with protobuf's own."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import (
    METHODS,
    MODEL_CONFIG,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STATISTICS,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    SERVER_LIVE,
    SERVER_METADATA,
    SERVER_READY,
    SERVICE_NAME,
    Duration,
    Empty,
    IndexEntry,
    IndexRequest,
    InferRequest,
    InferResponse,
    Method,
    ModelChange,
    ModelConfig,
    ModelMetadata,
    ModelName,
    ModelStatistics,
    ServerMetadata,
    StreamResponse,
    TensorMetadata,
)
from splitnet.protocol import open_inference_pb2 as pb

_SERVICE = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"]
_METADATA = ModelMetadata(
    "m", ("1", "2"), "onnx", (TensorMetadata("x", "FP32", (-1, 3)),), (TensorMetadata("y", "BYTES", ()),)
)
_CONFIG = ModelConfig(
    "m", "onnx", 8, (TensorMetadata("x", "FP32", (3,)),), (TensorMetadata("y", "BOOL", ()),), 2, 500
)
_STATISTICS = ModelStatistics(
    "m",
    "1",
    1_700_000_000_000,
    inference_count=9,
    execution_count=4,
    success=Duration(1, 10),
    fail=Duration(2, 20),
    queue=Duration(3, 30),
    compute_infer=Duration(4, 40),
    batches={1: Duration(3, 5), 6: Duration(1, 9)},
)
_TENSORS = {"x": np.ones((1, 2), np.float32)}
_RESPONSE = InferResponse("m", _TENSORS)
_CHANGE = ModelChange("m", "r", {"on": True, "n": -7, "text": "é", "raw": b"\xff\0"})

#: A request and a response for each method, and those fields of their messages that must be set.
EXAMPLES: dict[str, tuple[Any, Any, list[str]]] = {
    "ServerLive": (Empty(), True, ["live"]),
    "ServerReady": (Empty(), True, ["ready"]),
    "ModelReady": (ModelName("m", "2"), True, ["name", "version", "ready"]),
    "ServerMetadata": (Empty(), ServerMetadata("n", "1", ("e", "f")), ["name", "version", "extensions"]),
    "ModelMetadata": (
        ModelName("m"),
        _METADATA,
        ["name", "name", "versions", "platform", "inputs", "outputs"],
    ),
    "ModelInfer": (
        InferRequest("m", _TENSORS),
        _RESPONSE,
        ["model_name", "inputs", "raw_input_contents", "model_name", "outputs", "raw_output_contents"],
    ),
    "ModelStreamInfer": (
        InferRequest("m", _TENSORS),
        StreamResponse(_RESPONSE, "e"),
        ["model_name", "inputs", "raw_input_contents", "error_message", "infer_response"],
    ),
    "ModelConfig": (ModelName("m", "2"), _CONFIG, ["name", "version", "config"]),
    "ModelStatistics": (ModelName("m", "2"), (_STATISTICS,), ["name", "version", "model_stats"]),
    "RepositoryIndex": (
        IndexRequest("r", ready=True),
        (IndexEntry("m", "1", "READY", "because"),),
        ["repository_name", "ready", "models"],
    ),
    "RepositoryModelLoad": (_CHANGE, Empty(), ["repository_name", "model_name", "parameters"]),
    "RepositoryModelUnload": (_CHANGE, Empty(), ["repository_name", "model_name", "parameters"]),
}
EVERY_METHOD = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)


def test_the_table_is_the_service() -> None:
    assert [(method.name, method.streaming) for method in METHODS] == [
        (method.name, method.client_streaming and method.server_streaming) for method in _SERVICE.methods
    ]


def test_paths_are_the_protocols() -> None:
    assert SERVICE_NAME == "inference.GRPCInferenceService"
    assert SERVER_LIVE.path == "/inference.GRPCInferenceService/ServerLive"


@EVERY_METHOD
def test_protobuf_finds_every_field(method: Method[Any, Any]) -> None:
    request, response, expected = EXAMPLES[method.name]
    described = _SERVICE.methods_by_name[method.name]
    messages: list[Message] = [
        GetMessageClass(described.input_type).FromString(method.encode_request(request)),
        GetMessageClass(described.output_type).FromString(method.encode_response(response)),
    ]
    assert [field.name for message in messages for field, _ in message.ListFields()] == expected


@pytest.mark.parametrize(
    ("method", "request_", "response"),
    [
        (SERVER_LIVE, Empty(), False),
        (SERVER_LIVE, Empty(), True),
        (SERVER_READY, Empty(), False),
        (SERVER_READY, Empty(), True),
        (MODEL_READY, ModelName("m"), False),
        (MODEL_READY, ModelName("m", "3"), True),
        (SERVER_METADATA, Empty(), ServerMetadata("splitnet", "0.1.0", ("one", "two"))),
        (SERVER_METADATA, Empty(), ServerMetadata("", "")),
        (MODEL_METADATA, ModelName("m", "3"), _METADATA),
        (MODEL_METADATA, ModelName(""), ModelMetadata("", (), "", (), ())),
        (MODEL_CONFIG, ModelName("m"), _CONFIG),
        (MODEL_CONFIG, ModelName("m"), replace(_CONFIG, max_batch_size=0, max_queue_delay_us=None)),
        (MODEL_STATISTICS, ModelName(""), ()),
        (MODEL_STATISTICS, ModelName("m", "3"), (_STATISTICS, ModelStatistics("m", "2"))),
        (REPOSITORY_INDEX, IndexRequest(), ()),
        (REPOSITORY_INDEX, IndexRequest("r", ready=True), EXAMPLES["RepositoryIndex"][1]),
        (REPOSITORY_MODEL_LOAD, _CHANGE, Empty()),
        (REPOSITORY_MODEL_UNLOAD, ModelChange("m"), Empty()),
    ],
)
def test_small_messages_come_back(method: Method[Any, Any], request_: Any, response: Any) -> None:
    assert method.decode_request(method.encode_request(request_)) == request_
    assert method.decode_response(method.encode_response(response)) == response


@pytest.mark.parametrize(
    ("method", "response"),
    [
        (SERVER_METADATA, ServerMetadata("\ud800", "1")),
        (MODEL_METADATA, ModelMetadata("m", ("\ud800",), "p", (), ())),
        (MODEL_METADATA, ModelMetadata("m", (), "p", (TensorMetadata("\ud800", "FP32", ()),), ())),
        (MODEL_CONFIG, replace(_CONFIG, name="\ud800")),
        (MODEL_STATISTICS, (ModelStatistics("\ud800", "1"),)),
        (REPOSITORY_INDEX, (IndexEntry("m", "1", "READY", "\ud800"),)),
    ],
)
def test_text_that_is_not_unicode_is_refused(method: Method[Any, Any], response: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        method.encode_response(response)
    with pytest.raises(InvalidArgumentError, match="UTF-8"):
        MODEL_READY.encode_request(ModelName("\ud800"))


def test_a_configuration_leaves_out_the_axis_of_the_samples() -> None:
    config = ModelConfig.of(
        replace(_METADATA, outputs=(TensorMetadata("y", "FP32", (-1,)),)), max_batch=16, versions=2
    )
    assert (config.max_batch_size, config.versions, config.max_queue_delay_us) == (16, 2, None)
    assert [tensor.shape for tensor in (*config.inputs, *config.outputs)] == [(3,), ()]


@pytest.mark.parametrize("shape", [(), (1, 3), (3, -1)])
def test_a_configuration_without_such_an_axis_is_whole(shape: tuple[int, ...]) -> None:
    config = ModelConfig.of(
        replace(_METADATA, outputs=(TensorMetadata("y", "FP32", shape),)), max_batch=16, versions=1
    )
    assert config.max_batch_size == 0
    assert [tensor.shape for tensor in (*config.inputs, *config.outputs)] == [(-1, 3), shape]


def test_a_type_that_configurations_do_not_name_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="tensor 'y': no name for FP8"):
        MODEL_CONFIG.encode_response(replace(_CONFIG, outputs=(TensorMetadata("y", "FP8", ()),)))


def test_a_type_of_a_foreign_configuration_is_told_by_its_number() -> None:
    foreign = pb.ModelConfigResponse(config=pb.ModelConfig(name="m"))
    foreign.config.input.add(name="x").MergeFromString(b"\x10\x0d")  # data_type 13, a string
    assert MODEL_CONFIG.decode_response(foreign.SerializeToString()).inputs == (TensorMetadata("x", "13", ()),)
