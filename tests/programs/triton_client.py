"""Run as a program: Triton's own client against one of our tiers; prints one JSON line of what it got.

A process of its own, since tritonclient's generated `package inference` may be in a process once only.
"""

import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton

TIMEOUT_S = 30.0


def outcome(result: Any, error: Any) -> dict[str, Any]:
    if error is not None:
        return {"error": str(error)}
    response = result.get_response()
    return {
        "y": result.as_numpy("y").tolist(),
        "id": response.id,
        "version": response.model_version,
        "exit": response.parameters["splitnet_exit"].string_param,
    }


def converse(address: str, model: str, x: np.ndarray[Any, Any]) -> dict[str, Any]:
    client = triton.InferenceServerClient(address)
    tensor = triton.InferInput("x", list(x.shape), "FP32")
    tensor.set_data_from_numpy(x)
    answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def called_back(result: Any, error: Any) -> None:
        answers.put(outcome(result, error))

    seen: dict[str, Any] = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "models": [client.is_model_ready(*name) for name in ((model,), (model, "1"), (model, "2"), ("none",))],
        "server": client.get_server_metadata(as_json=True),
        "metadata": client.get_model_metadata(model, as_json=True),
        "infer": outcome(client.infer(model, [tensor], request_id="a", client_timeout=TIMEOUT_S), None),
    }
    client.async_infer(model, [tensor], called_back, request_id="b", client_timeout=TIMEOUT_S)
    seen["async"] = answers.get(timeout=TIMEOUT_S)
    wrong = triton.InferInput("x", [1, 3], "FP32")
    wrong.set_data_from_numpy(np.zeros((1, 3), np.float32))
    client.start_stream(called_back)
    for request_id, inputs in (("c", tensor), ("", wrong), ("d", tensor)):
        client.async_stream_infer(model, [inputs], request_id=request_id)
    seen["stream"] = [answers.get(timeout=TIMEOUT_S) for _ in range(3)]
    client.stop_stream()
    client.close()
    return seen


def main() -> int:
    address, model, samples = sys.argv[1:]
    x = np.array(json.loads(samples), np.float32)
    sys.stdout.write(json.dumps(converse(address, model, x)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
