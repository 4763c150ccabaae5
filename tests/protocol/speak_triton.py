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
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from tritonclient.grpc import service_pb2

from splitnet.protocol import (
    METHODS,
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STREAM_INFER,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    SERVER_LIVE,
    SERVER_METADATA,
    SERVER_READY,
    SERVICE_NAME,
    Empty,
    IndexEntry,
    InferRequest,
    InferResponse,
    Method,
    ModelChange,
    ModelMetadata,
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
        "index": client.get_model_repository_index(as_json=True),
        "changes": [[change.model, {k: str(v) for k, v in change.parameters.items()}] for change in CHANGES],
    }
    client.stop_stream()
    client.close()
    return seen


def differing_messages() -> list[str]:
    """Our messages that are not Triton's, field for field, but for comments and Triton's further ones."""
    theirs = FileDescriptorProto()
    service_pb2.DESCRIPTOR.CopyToProto(theirs)
    ours = FileDescriptorProto()
    descriptor_pool().FindFileContainingSymbol(SERVICE_NAME).CopyToProto(ours)
    for method in theirs.service[0].method:
        method.ClearField("options")  # written `{}` in Triton's file
    their_messages = {message.name: message for message in theirs.message_type}
    their_methods = {method.name: method for method in theirs.service[0].method}
    differing = [message.name for message in ours.message_type if message != their_messages[message.name]]
    return differing + [method.name for method in ours.service[0].method if method != their_methods[method.name]]


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
