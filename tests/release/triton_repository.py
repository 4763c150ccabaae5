"""Run as a program: Triton's own client on the repository of one of our tiers; prints one JSON line of it all.

A process of its own, since tritonclient's generated `package inference` may be in a process once only.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException


def refusal(call: Callable[[], Any]) -> str:
    try:
        call()
    except InferenceServerException as err:
        return str(err)
    return ""


def main() -> int:
    address, model = sys.argv[1:]
    client = triton.InferenceServerClient(address)
    index = client.get_model_repository_index(as_json=True)["models"]
    seen: dict[str, Any] = {"before": [[entry["name"], entry["version"], entry["state"]] for entry in index]}
    client.load_model(model, client_timeout=30.0)
    seen["loaded"] = [client.is_model_ready(model, version) for version in ("1", "3", "2")]
    client.unload_model(model)
    seen["unloaded"] = [client.is_model_ready(model, version) for version in ("3", "1")]
    seen["other"] = refusal(lambda: client.load_model("other"))
    seen["last"] = refusal(lambda: client.unload_model(model))
    client.close()
    sys.stdout.write(json.dumps(seen) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
