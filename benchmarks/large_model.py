"""Cutting a model with gigabytes of weights: the most memory that `splitnet partition` takes, and how long."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto, helper

_WIDTH = 4096
_GOAL_BYTES = 0.5e9
_SEED = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What a command took.

    Attributes:
        name: of the command.
        peak_bytes: the most resident memory at a time, pages of mapped files included.
        seconds: wall time.
    """

    name: str
    peak_bytes: int
    seconds: float


def main() -> None:
    """Make a model, cut it by hand and by plan, check the package, and print."""
    options = _options()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        model = write_model(Path(folder), layers=round(options.gib * 2**30 / (4 * _WIDTH**2)), width=_WIDTH)
        cut, planned, split = f"{folder}/cut.split", f"{folder}/planned.split", f"{folder}/split.split"
        commands = {
            "partition --cut": ["partition", str(model), "-o", cut, "--cut", "h4"],
            "partition": ["partition", str(model), "-o", planned],
            "partition --place split": ["partition", str(model), "-o", split, "--place", "split"],
            "inspect --check": ["inspect", cut, "--check"],
        }
        results = [_run(name, arguments) for name, arguments in commands.items()]
    if options.json_output:
        print(json.dumps([{"name": r.name, "peak_bytes": r.peak_bytes, "seconds": r.seconds} for r in results]))
        return
    print(f"a model with {options.gib:g} GiB of weights; goal: below {_GOAL_BYTES / 1e6:.0f} MB")
    for result in results:
        verdict = "met" if result.peak_bytes < _GOAL_BYTES else "ABOVE"
        print(f"{result.name:26} {result.peak_bytes / 1e6:7.0f} MB  {verdict}  {result.seconds:7.1f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=3.0, help="weights of the model, GiB")
    parser.add_argument("--folder", help="a directory that is there, with room for three times that")
    parser.add_argument("--json", dest="json_output", action="store_true")
    return parser.parse_args()


def write_model(folder: Path, *, layers: int, width: int) -> Path:
    """Write residual layers h + Relu(h @ W), with weights [width, width] as external data; return the path."""
    random = np.random.default_rng(_SEED)
    with (folder / "weights.bin").open("wb") as file:
        # Row by row: what this process holds counts as the peak of those that it starts.
        for _ in range(layers * width):
            file.write((random.standard_normal(width, np.float32) / (4 * width**0.5)).tobytes())
    nodes, weights = [], []
    for layer in range(layers):
        below, weight, product, relu, above = f"h{layer}", f"w{layer}", f"m{layer}", f"r{layer}", f"h{layer + 1}"
        weights.append(_external(weight, layer, width))
        nodes += [
            helper.make_node("MatMul", [below, weight], [product]),
            helper.make_node("Relu", [product], [relu]),
            helper.make_node("Add", [below, relu], [above]),
        ]
    graph = helper.make_graph(nodes, "large", [_rows("h0", width)], [_rows(f"h{layers}", width)], weights)
    model: ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "large.onnx").write_bytes(model.SerializeToString())
    return folder / "large.onnx"


def _rows(name: str, width: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", width])


def _external(name: str, layer: int, width: int) -> TensorProto:
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[width, width])
    tensor.data_location = TensorProto.EXTERNAL
    size = 4 * width**2
    for key, value in {"location": "weights.bin", "offset": layer * size, "length": size}.items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def _run(name: str, arguments: Sequence[str]) -> Result:
    start = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "splitnet", *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"`splitnet {' '.join(arguments)}` ended with {process.returncode}")
    # KiB on Linux, bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return Result(name, usage.ru_maxrss * unit, time.monotonic() - start)


if __name__ == "__main__":
    main()
