"""Run as a program: Triton's client and our protocol in one process, over a real socket.

Prints one JSON line of what it saw; test_tritonclient.py looks at it.
"""

import json
import queue
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import tritonclient.grpc as triton
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from tritonclient.grpc import model_config_pb2, service_pb2

from splitnet.protocol import (
    METHODS,
    MODEL_CONFIG,
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STATISTICS,
    MODEL_STREAM_INFER,
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
    InferRequest,
    InferResponse,
    Method,
    ModelChange,
    ModelConfig,
    ModelMetadata,
    ModelStatistics,
    ServerMetadata,
    StreamResponse,
    TensorMetadata,
    descriptor_pool,
)


def double(request: InferRequest) -> InferResponse:
    return InferResponse(
        request.model_name,
        {"y": request.tensors["x"] * 2},
        request.model_version,
        request.id,
        request.parameters,
    )


#: Messages of which we tell a part: their other fields are settings and counts that mean nothing here.
PARTS = {
    "ModelConfig",
    "ModelInput",
    "ModelOutput",
    "ModelVersionPolicy",
    "ModelDynamicBatching",
    "ModelStatistics",
}

#: What the client asked to have loaded and unloaded.
CHANGES: list[ModelChange] = []


def change(asked: ModelChange) -> Empty:
    CHANGES.append(asked)
    return Empty()


ANSWERS: dict[Method[Any, Any], Callable[[Any], Any]] = {
    SERVER_LIVE: lambda _: True,
    SERVER_READY: lambda _: True,
    MODEL_READY: lambda model: (model.name, model.version) == ("m", "3"),
    SERVER_METADATA: lambda _: ServerMetadata("splitnet", "0.1.0", ("streaming",)),
    MODEL_METADATA: lambda model: ModelMetadata(
        model.name, ("3",), "onnx", (TensorMetadata("x", "FP32", (-1, 2)),), ()
    ),
    MODEL_CONFIG: lambda model: ModelConfig(
        model.name, "onnx", 8, (TensorMetadata("x", "FP32", (2,)),), (), max_queue_delay_us=500
    ),
    MODEL_STATISTICS: lambda model: (
        ModelStatistics(model.name, "3", inference_count=5, success=Duration(2, 7), batches={4: Duration(1, 3)}),
    ),
    MODEL_INFER: double,
    MODEL_STREAM_INFER: lambda request: StreamResponse(double(request)),
    REPOSITORY_INDEX: lambda _: (IndexEntry("m", "3", "READY"), IndexEntry("m", "4", "UNAVAILABLE", "why")),
    REPOSITORY_MODEL_LOAD: change,
    REPOSITORY_MODEL_UNLOAD: change,
}


def handler(method: Method[Any, Any]) -> "grpc.RpcMethodHandler[Any, Any]":
    answer = ANSWERS[method]

    def stream(requests: Iterator[Any], _: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            yield answer(request)

    coders: tuple[Any, Any] = (method.decode_request, method.encode_response)
    if method.streaming:
        return grpc.stream_stream_rpc_method_handler(stream, *coders)
    return grpc.unary_unary_rpc_method_handler(lambda request, _: answer(request), *coders)


def converse(address: str) -> dict[str, Any]:
    client = triton.InferenceServerClient(address)
    tensor = triton.InferInput("x", [1, 2], "FP32")
    tensor.set_data_from_numpy(np.array([[1.5, -2.0]], np.float32))
    question = {"model_name": "m", "inputs": [tensor], "model_version": "3", "request_id": "7"}
    metadata = client.get_model_metadata("m", "3")
    result = client.infer(
        **question, parameters={"plan": "p", "deadline": 20}, outputs=[triton.InferRequestedOutput("y")]
    )
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    client.start_stream(lambda result, error: answers.put(error or result.as_numpy("y").tolist()))
    client.async_stream_infer(**question)
    client.load_model("m", config='{"a": 1}', files={"file:1/model.onnx": b"\xff\0"})
    client.unload_model("m", unload_dependents=True)
    seen = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model": [client.is_model_ready("m", "3"), client.is_model_ready("m", "4")],
        "extensions": list(client.get_server_metadata().extensions),
        "shape": list(metadata.inputs[0].shape),
        "y": result.as_numpy("y").tolist(),
        "id": result.get_response().id,
        "deadline": result.get_response().parameters["deadline"].int64_param,
        "stream": answers.get(timeout=30),
        "config": client.get_model_config("m", as_json=True),
        "statistics": client.get_inference_statistics("m", as_json=True),
        "index": client.get_model_repository_index(as_json=True),
        "changes": [[change.model, {k: str(v) for k, v in change.parameters.items()}] for change in CHANGES],
    }
    client.stop_stream()
    client.close()
    return seen


def differing_messages() -> list[str]:
    """Our messages that are not Triton's, field for field, but for comments and Triton's further ones."""
    ours = FileDescriptorProto()
    descriptor_pool().FindFileContainingSymbol(SERVICE_NAME).CopyToProto(ours)
    theirs: list[FileDescriptorProto] = []
    for module in (service_pb2, model_config_pb2):
        theirs.append(FileDescriptorProto())
        module.DESCRIPTOR.CopyToProto(theirs[-1])
    for method in theirs[0].service[0].method:
        method.ClearField("options")  # written `{}` in Triton's file
    their_messages = {message.name: message for file in theirs for message in file.message_type}
    their_enums = {enum.name: enum for enum in theirs[1].enum_type}
    their_methods = {method.name: method for method in theirs[0].service[0].method}
    return [
        *(each.name for each in ours.message_type if not agree(each, their_messages[each.name])),
        *(
            enum.name
            for enum in ours.enum_type
            if not all(value in their_enums[enum.name].value for value in enum.value)
        ),
        *(method.name for method in ours.service[0].method if method != their_methods[method.name]),
    ]


def agree(ours: DescriptorProto, theirs: DescriptorProto) -> bool:
    """Whether the two are the same or, where we tell a part only, every field of ours is theirs."""
    if ours.name not in PARTS:
        return ours == theirs
    nested = {message.name: message for message in theirs.nested_type}
    return all(field in theirs.field for field in ours.field) and all(
        message == nested[message.name] for message in ours.nested_type
    )


def main() -> int:
    with ThreadPoolExecutor(4) as workers:
        server = grpc.server(workers)
        handlers = {method.name: handler(method) for method in METHODS}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE_NAME, handlers),))
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            seen = converse(f"127.0.0.1:{port}") | {"differing": differing_messages()}
        finally:
            server.stop(None).wait()
    sys.stdout.write(json.dumps(seen) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
