"""A model in three segments whose routing its inputs spell out, and what it answers, in numpy.

`x` is [batch, 4]. Its first column is the device's confidence, its second the edge's, so that a test says in
its data who leaves where. The model answers `y` [batch, 4] and `a` [4, batch]: the device makes `a` for good.
"""

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from splitnet.config import BatchingConfig
from splitnet.deadline import Deadline
from splitnet.runtime import Answer, BoundedExecutor, Exit, Forward, Pipeline, Segment, Stage
from splitnet.runtime.waiting import ALONE
from splitnet.tensors import BATCH, Array, Tensors, TensorSpec

WIDTH = 4
X = TensorSpec("x", "float32", (BATCH, WIDTH))
T = TensorSpec("t", "float32", (BATCH, WIDTH))
U = TensorSpec("u", "float32", (BATCH, WIDTH))
Y = TensorSpec("y", "float32", (BATCH, WIDTH))
A = TensorSpec("a", "float32", (WIDTH, BATCH))

DEVICE_EXIT = Exit({"y": "y_1", "a": "a_1"}, "sure_1", 0.5)
EDGE_EXIT = Exit({"y": "y_2", "a": "a_2"}, "sure_2", 0.8)
#: Steps (operator, source, constant, target).
_STEPS: dict[str, tuple[tuple[str, str, float, str], ...]] = {
    "device": (
        ("Mul", "x", 2.0, "t"),
        ("Transpose", "t", 0.0, "a"),
        ("Add", "x", 10.0, "y_1"),
        ("Transpose", "y_1", 0.0, "a_1"),
        ("Gather", "x", 0, "sure_1"),
    ),
    "edge": (
        ("Add", "t", 1.0, "u"),
        ("Add", "t", 20.0, "y_2"),
        ("Transpose", "y_2", 0.0, "a_2"),
        ("Div", "t", 2.0, "half"),
        ("Gather", "half", 1, "sure_2"),
    ),
    "cloud": (("Mul", "u", 3.0, "y"),),
}
_INPUTS = {"device": "x", "edge": "t", "cloud": "u"}


def _shape(name: str) -> list[int | str]:
    if name.startswith("sure"):
        return [BATCH]
    return [WIDTH, BATCH] if name.startswith("a") else [BATCH, WIDTH]


def _bytes(tier: str) -> bytes:
    nodes, constants = [], []
    for operator, source, number, target in _STEPS[tier]:
        if operator == "Transpose":
            nodes.append(helper.make_node(operator, [source], [target], name=f"n_{target}"))
            continue
        dtype = np.int64 if operator == "Gather" else np.float32
        constants.append(numpy_helper.from_array(np.array(number, dtype), f"c_{target}"))
        nodes.append(helper.make_node(operator, [source, f"c_{target}"], [target], name=f"n_{target}"))
        if operator == "Gather":
            nodes[-1].attribute.append(helper.make_attribute("axis", 1))
    names = [_INPUTS[tier], *(target for _, _, _, target in _STEPS[tier] if target != "half")]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, _shape(name)) for name in names]
    graph = helper.make_graph(nodes, tier, infos[:1], infos[1:], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


BYTES = {tier: _bytes(tier) for tier in _STEPS}


def stage(tier: str, *, exits: bool = True) -> Stage:
    """The stage of `tier`, freshly loaded."""
    incoming, outgoing, own, answers = {
        "device": (X, (T,), DEVICE_EXIT, ("a",)),
        "edge": (T, (U,), EDGE_EXIT, ()),
        "cloud": (U, (), None, ("y",)),
    }[tier]
    return Stage(tier, Segment(BYTES[tier], name=tier), own if exits else None, (incoming,), outgoing, answers)


def whole(x: Array) -> Tensors:
    """What the model answers at its end."""
    t = x * np.float32(2)
    return {"y": (t + np.float32(1)) * np.float32(3), "a": t.T}


def at_device_exit(x: Array) -> Tensors:
    y = x + np.float32(10)
    return {"y": y, "a": y.T}


def at_edge_exit(x: Array) -> Tensors:
    """The edge answers `y` alone: `a` was made below, for good."""
    return {"y": x * np.float32(2) + np.float32(20), "a": whole(x)["a"]}


def same(left: Array, right: Array) -> bool:
    return left.dtype == right.dtype and np.array_equal(left, right, equal_nan=True)


@dataclass
class Recording:
    """A way up that notes what it was asked before it asks."""

    forward: Forward
    sent: list[Tensors]
    deadlines: list[Deadline]
    ids: list[str]

    def __call__(
        self, tensors: Tensors, deadline: Deadline, *, request_id: str = "", priority: int = 0
    ) -> "Future[Answer]":
        self.sent.append(tensors)
        self.deadlines.append(deadline)
        self.ids.append(request_id)
        return self.forward(tensors, deadline, request_id=request_id, priority=priority)


def recording(forward: Forward) -> Recording:
    return Recording(forward, [], [], [])


def failing(error: BaseException, *, at_once: bool) -> Forward:
    """A way up that fails, either when called or when its answer is due."""

    def forward(*_: object, **__: object) -> "Future[Answer]":
        if at_once:
            raise error
        future: Future[Answer] = Future()
        future.set_exception(error)
        return future

    return forward


def soon() -> Deadline:
    """A deadline that no test reaches."""
    return Deadline.after_ms(60_000)


def past() -> Deadline:
    return Deadline.after_ms(-1)


def answer(pipeline: Pipeline, x: Array, deadline: Deadline | None = None) -> Answer:
    return pipeline.submit({pipeline.incoming[0].name: x}, deadline or soon()).result(timeout=30)


class Tiers:
    """Three pipelines, each with an executor of its own, that forward to one another in process."""

    def __init__(self, batching: BatchingConfig = ALONE) -> None:
        self.executors = [BoundedExecutor(workers=1, limit=64, name=tier) for tier in BYTES]
        device, edge, cloud = self.executors
        self.cloud = Pipeline([stage("cloud")], [Y], cloud, batching=batching)
        self.to_cloud = recording(self.cloud.submit)
        self.edge = Pipeline([stage("edge")], [Y], edge, forward=self.to_cloud, batching=batching)
        self.to_edge = recording(self.edge.submit)
        self.device = Pipeline([stage("device")], [Y, A], device, forward=self.to_edge, batching=batching)

    def close(self) -> None:
        for executor in self.executors:
            executor.close()
