"""What a request costs at our edge tier, and at Triton and MLServer with the same segment and the same client.

    python -m benchmarks.against_triton --install triton --install mlserver
    python -m benchmarks.against_triton [--seconds N] [--json]

Triton runs the segment in its Python backend, MLServer in a runtime of ours, all on one thread of the same
onnxruntime; the client is Triton's own, with one request in flight. MLServer is left out where it is not there.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tritonclient.grpc as triton_client
from onnx import TensorProto, helper, numpy_helper

from benchmarks.cpu import cpu_s
from benchmarks.harness import SEED, UNCACHED, Figure, Options, begin, median, ratio, rounds, show
from benchmarks.peers import PEERS, PeerModel, default_folder, install, installed, mlserver, triton
from splitnet.cost import default_site
from splitnet.emulate.lab import TierProcess
from splitnet.package import Package
from splitnet.partition import PartitionOptions, partition
from splitnet.tensors import Array

_TURN_S = 0.5
_START_S = 60.0
#: An activation of 803 KB, and what a convolution makes of it.
_SHAPE, _CHANNELS = (64, 56, 56), 16


@dataclass(slots=True)
class _Side:
    """One server, and what a request took there in each turn."""

    call: Callable[[], Array]
    pid: int
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)

    def turn(self, seconds: float) -> None:
        before_s, start_s = cpu_s(self.pid), time.perf_counter()
        taken: list[float] = []
        while time.perf_counter() - start_s < seconds:
            began_s = time.perf_counter()
            self.call()
            taken.append(1e3 * (time.perf_counter() - began_s))
        self.wall_ms.append(median(taken))
        self.cpu_ms.append(1e3 * (cpu_s(self.pid) - before_s) / len(taken))


def main() -> None:
    """Install what is asked for, or measure in turns and print."""
    values = _arguments()
    begin()
    for name in values.install:
        install(name, values.peers)
    if values.install:
        return
    if not installed("triton", values.peers):
        sys.exit(f"{values.peers}: Triton is not installed there; run with --install triton")
    options = Options(values.seconds, values.json_output)
    show("a segment, 803 KB a request, Triton's client, one in flight", _measure(values.peers, options), options)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=30.0, metavar="N", help="measure for so long")
    parser.add_argument("--json", action="store_true", dest="json_output", help="print JSON")
    parser.add_argument(
        "--install", action="append", default=[], choices=sorted(PEERS), help="install a peer, and end"
    )
    parser.add_argument("--peers", type=Path, default=default_folder(), metavar="DIR", help="where peers are kept")
    return parser.parse_args()


def _measure(peers: Path, options: Options) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        work = Path(folder)
        package = _package(work)
        (entry,) = package.manifest.segments
        x = np.random.default_rng(SEED).standard_normal((1, *_SHAPE)).astype(np.float32)
        edge = stack.enter_context(TierProcess("edge", package.path, UNCACHED))
        sides = {"edge": _Side(_call(edge.address, f"{package.manifest.model.name}.edge", x, stack), edge.pid)}
        model = PeerModel(
            _file(package.read_segment(entry), work / "peers.onnx"),
            tuple(each.to_spec() for each in entry.inputs),
            tuple(each.to_spec() for each in entry.outputs),
        )
        for name, start in (("triton", triton), ("mlserver", mlserver)):
            if installed(name, peers):
                peer = stack.enter_context(start(model, peers, work))
                sides[name] = _Side(_call(peer.address, "segment", x, stack), peer.pid)
        _check_equal(sides)
        for _ in rounds(options.seconds):
            for side in sides.values():
                side.turn(_TURN_S)
    return _figures(sides)


def _call(address: str, model: str, x: Array, stack: ExitStack) -> Callable[[], Array]:
    """Connect Triton's client, wait until the model is ready, and return a call that asks for `x`."""
    client = triton_client.InferenceServerClient(address)
    stack.callback(client.close)
    until_s = time.monotonic() + _START_S
    while not _ready(client, model):
        assert time.monotonic() < until_s, f"{address} did not serve {model} within {_START_S:.0f} s"
        time.sleep(0.1)
    tensor = triton_client.InferInput("x", list(x.shape), "FP32")
    tensor.set_data_from_numpy(x)

    def call() -> Array:
        answer: Array = client.infer(model, [tensor]).as_numpy("y")
        return answer

    return call


def _ready(client: Any, model: str) -> bool:  # noqa: ANN401  (the client has no types)
    try:
        return bool(client.is_model_ready(model))
    except triton_client.InferenceServerException:
        return False


def _check_equal(sides: dict[str, _Side]) -> None:
    ours = sides["edge"].call()
    for side in sides.values():
        assert np.allclose(side.call(), ours, rtol=1e-5, atol=1e-5)


def _figures(sides: dict[str, _Side]) -> list[Figure]:
    figures = [
        Figure(f"{name}: {what}", median(values), best=min(values))
        for name, side in sides.items()
        for what, values in (("ms", side.wall_ms), ("ms of the server's CPU", side.cpu_ms))
    ]
    edge = sides["edge"]
    for name, goal in (("triton", "<= 1.05"), ("mlserver", "")):
        if (peer := sides.get(name)) is not None:
            figures += [_ratio(f"edge / {name}, time", edge.wall_ms, peer.wall_ms, goal)]
            figures += [_ratio(f"edge / {name}, server's CPU", edge.cpu_ms, peer.cpu_ms, "")]
    return figures


def _ratio(name: str, above: list[float], below: list[float], goal: str) -> Figure:
    return Figure(name, ratio(above, below), goal, best=min(above) / min(below))


def _file(segment: bytes | Path, path: Path) -> Path:
    if isinstance(segment, Path):
        return segment
    path.write_bytes(segment)
    return path


def _package(folder: Path) -> Package:
    """Package a convolution and the mean of each channel, all of it on the edge."""
    path = folder / "segment.onnx"
    rng = np.random.default_rng(SEED)
    weight = rng.standard_normal((_CHANNELS, _SHAPE[0], 3, 3)).astype(np.float32) / np.sqrt(_SHAPE[0] * 9)
    nodes = [
        helper.make_node("Conv", ["x", "weight"], ["convolved"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["convolved"], ["active"]),
        helper.make_node("GlobalAveragePool", ["active"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "segment",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", *_SHAPE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", _CHANNELS])],
        [numpy_helper.from_array(weight.astype(np.float32), "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    options = PartitionOptions(
        path, folder / "segment.split", default_site(), name="segment", place="all-edge", codec="none"
    )
    return partition(options).package


if __name__ == "__main__":
    main()
