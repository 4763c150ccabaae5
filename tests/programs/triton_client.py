"""Run as a program: every call of Triton's own client against one of our tiers; prints one JSON line.

A process of its own, since tritonclient's generated `package inference` may be in a process once only.
"""

import inspect
import json
import queue
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import tritonclient.grpc as triton
from tritonclient.grpc import service_pb2, service_pb2_grpc

TIMEOUT_S = 30.0
KEEPALIVE = triton.KeepAliveOptions(
    keepalive_time_ms=10_000, keepalive_timeout_ms=10_000, http2_max_pings_without_data=0
)
#: Nothing of these goes to the server.
LOCAL = {"close", "plugin", "register_plugin", "unregister_plugin"}


class Recorder:
    """A client that remembers which of its methods were called."""

    def __init__(self, client: triton.InferenceServerClient) -> None:
        self._client = client
        self.called: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self._client, name)

    def missing(self) -> list[str]:
        every = inspect.getmembers(triton.InferenceServerClient, inspect.isfunction)
        return sorted({name for name, _ in every if not name.startswith("_")} - self.called - LOCAL)


def outcome(result: Any, error: Any = None) -> dict[str, Any]:
    if error is not None:
        return {"error": str(error)}
    response = result.get_response()
    return {
        "y": result.as_numpy("y").tolist(),
        "id": response.id,
        "version": response.model_version,
        "exit": response.parameters["splitnet_exit"].string_param,
        "parameters": sorted(response.parameters),
    }


def tried(call: Callable[[], Any]) -> Any:
    """Return what the call returned, or the status and text that it failed with."""
    try:
        return call()
    except triton.InferenceServerException as err:
        return {"status": str(err.status()).removeprefix("StatusCode."), "text": err.message()}


def tensor(name: str, values: np.ndarray[Any, Any]) -> triton.InferInput:
    made = triton.InferInput(name, list(values.shape), "FP32")
    made.set_data_from_numpy(values)
    return made


def asked_about(client: Any, model: str) -> dict[str, Any]:
    """Everything that asks and changes nothing."""
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(client_timeout=TIMEOUT_S),
        "models": [client.is_model_ready(*name) for name in ((model,), (model, "1"), (model, "2"), ("none",))],
        "server": client.get_server_metadata(as_json=True),
        "metadata": client.get_model_metadata(model, as_json=True),
        "config": client.get_model_config(model, "1", as_json=True)["config"],
        "no config": tried(lambda: client.get_model_config("none")),
        "index": client.get_model_repository_index(as_json=True)["models"],
    }


def inferred(client: Any, model: str, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    """One answer for each way to ask, and the refusals."""
    whole = [tensor("x", x)]
    wanted = [triton.InferRequestedOutput("y")]
    classes = [triton.InferRequestedOutput("y", class_count=2)]
    region = triton.InferInput("x", list(x.shape), "FP32")
    region.set_shared_memory("region", x.nbytes)
    shared = triton.InferRequestedOutput("y")
    shared.set_shared_memory("region", 64)
    ways: dict[str, dict[str, Any]] = {
        "plain": {},
        "version": {"model_version": "1", "outputs": wanted},
        "gzip": {"compression_algorithm": "gzip"},
        "deflate": {"compression_algorithm": "deflate"},
        "priority": {"priority": 1, "timeout": 20_000_000, "parameters": {"splitnet_deadline_ms": 20_000}},
        "headers": {"headers": {"x-site": "hall"}},
    }
    refusals: dict[str, dict[str, Any]] = {
        "no time": {"timeout": 1, "inputs": [tensor("x", x + 1)]},
        "sequence": {"sequence_id": 7, "sequence_start": True},
        "sequence text": {"sequence_id": "seven", "sequence_end": True},
        "input in shared memory": {"inputs": [region]},
        "output in shared memory": {"outputs": [shared]},
        "classes": {"outputs": classes},
        "no model": {"model_name": "none"},
    }
    seen = {
        name: outcome(client.infer(model, whole, request_id=name, client_timeout=TIMEOUT_S, **way))
        for name, way in ways.items()
    }

    def refused(way: dict[str, Any]) -> Any:
        return tried(lambda: outcome(client.infer(**({"model_name": model, "inputs": whole} | way))))

    seen["refused"] = {name: refused(way) for name, way in refusals.items()}
    return seen


def typed(address: str, model: str, x: np.ndarray[Any, Any]) -> list[Any]:
    """The same with the values in a typed list, which the client itself never sends."""
    request = service_pb2.ModelInferRequest(model_name=model)
    request.inputs.add(name="x", datatype="FP32", shape=x.shape).contents.fp32_contents.extend(x.ravel().tolist())
    with triton._client.grpc.insecure_channel(address) as channel:
        answer = service_pb2_grpc.GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=TIMEOUT_S)
    return np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(len(x), -1).tolist()


def streamed(client: Any, model: str, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Calls whose answers come later: asynchronous, on streams, and broken off."""
    answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def called_back(result: Any, error: Any) -> None:
        answers.put(outcome(result, error))

    whole, wrong = tensor("x", x), tensor("x", np.zeros((1, 3), np.float32))
    client.async_infer(model, [whole], called_back, request_id="b", client_timeout=TIMEOUT_S)
    seen: dict[str, Any] = {"async": answers.get(timeout=TIMEOUT_S)}
    call = client.async_infer(model, [whole], called_back)
    call.cancel()
    seen["cancelled"] = answers.get(timeout=TIMEOUT_S)
    client.start_stream(called_back, stream_timeout=TIMEOUT_S, compression_algorithm="gzip")
    for request_id, inputs in (("c", whole), ("", wrong), ("d", whole)):
        client.async_stream_infer(model, [inputs], request_id=request_id, priority=2, timeout=20_000_000)
    seen["stream"] = [answers.get(timeout=TIMEOUT_S) for _ in range(3)]
    client.async_stream_infer(model, [whole], request_id="e", enable_empty_final_response=True)
    seen["last"] = answers.get(timeout=TIMEOUT_S)
    client.async_stream_infer(model, [whole], request_id="f", sequence_id=3)
    seen["sequence"] = answers.get(timeout=TIMEOUT_S)
    client.stop_stream()
    client.start_stream(called_back)
    client.async_stream_infer(model, [whole], request_id="g")
    answers.get(timeout=TIMEOUT_S)
    client.stop_stream(cancel_requests=True)
    return seen


def changed(client: Any, model: str) -> dict[str, Any]:
    """Calls that change what is loaded, and those that have nothing to change here."""
    calls: dict[str, Callable[[], Any]] = {
        "load": lambda: client.load_model(model, client_timeout=TIMEOUT_S),
        "load with config": lambda: client.load_model(model, config="{}"),
        "load none": lambda: client.load_model("none"),
        "unload": lambda: client.unload_model(model),
        "system status": lambda: client.get_system_shared_memory_status(as_json=True),
        "system status of one": lambda: client.get_system_shared_memory_status("region"),
        "system register": lambda: client.register_system_shared_memory("region", "/key", 64),
        "system unregister": lambda: client.unregister_system_shared_memory("region"),
        "cuda status": lambda: client.get_cuda_shared_memory_status(as_json=True),
        "cuda status of one": lambda: client.get_cuda_shared_memory_status("region"),
        "cuda register": lambda: client.register_cuda_shared_memory("region", b"aGFuZGxl", 0, 64),
        "cuda unregister": client.unregister_cuda_shared_memory,
        "trace": client.get_trace_settings,
        "trace update": lambda: client.update_trace_settings(settings={"trace_level": "OFF"}),
        "log": client.get_log_settings,
        "log update": lambda: client.update_log_settings({"log_verbose_level": 1}),
    }
    return {name: tried(call) for name, call in calls.items()}


def converse(address: str, model: str, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    client = Recorder(triton.InferenceServerClient(address, keepalive_options=KEEPALIVE))
    seen = asked_about(client, model) | inferred(client, model, x) | streamed(client, model, x)
    seen["typed"] = typed(address, model, x)
    seen["changed"] = changed(client, model)
    seen["statistics"] = [
        client.get_inference_statistics(*name, as_json=True)["model_stats"] for name in ((model, "1"), ())
    ]
    seen["no statistics"] = tried(lambda: client.get_inference_statistics("none"))
    seen["missing"] = client.missing()
    client.close()
    return seen


def main() -> int:
    address, model, samples = sys.argv[1:]
    x = np.array(json.loads(samples), np.float32)
    sys.stdout.write(json.dumps(converse(address, model, x)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
