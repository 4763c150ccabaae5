"""Triton's own client speaks with us, and its generated module lives beside ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]


def test_triton_client_speaks_with_us() -> None:
    # A process of its own: tritonclient's `package inference` may be in a process once only.
    result = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("speak_triton.py"))],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout) == {
        "live": True,
        "ready": True,
        "model": [True, False],
        "extensions": ["streaming"],
        "shape": [-1, 2],
        "y": [[3.0, -4.0]],
        "id": "7",
        "deadline": 20,
        "stream": [[3.0, -4.0]],
        "config": {
            "config": {
                "name": "m",
                "platform": "onnx",
                "backend": "onnxruntime",
                "max_batch_size": 8,
                "version_policy": {"latest": {"num_versions": 1}},
                "input": [{"name": "x", "data_type": "TYPE_FP32", "dims": ["2"]}],
                "dynamic_batching": {"max_queue_delay_microseconds": "500"},
            }
        },
        "statistics": {
            "model_stats": [
                {
                    "name": "m",
                    "version": "3",
                    "inference_count": "5",
                    "inference_stats": {
                        "success": {"count": "2", "ns": "7"},
                        "fail": {},
                        "queue": {},
                        "compute_infer": {},
                    },
                    "batch_stats": [{"batch_size": "4", "compute_infer": {"count": "1", "ns": "3"}}],
                }
            ]
        },
        "index": {
            "models": [
                {"name": "m", "version": "3", "state": "READY"},
                {"name": "m", "version": "4", "state": "UNAVAILABLE", "reason": "why"},
            ]
        },
        "changes": [
            ["m", {"config": '{"a": 1}', "file:1/model.onnx": "b'\\xff\\x00'"}],
            ["m", {"unload_dependents": "True"}],
        ],
        "differing": [],
    }
