"""A small classifier with two early exits, its data, and what a split of it should answer."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from splitnet.package import Manifest, read_manifest
from splitnet.tensors import Array, Tensors

NAME = "classifier"
FEATURES, WIDTH, CLASSES = 12, 48, 4
#: Each layer's tensor, its head's answer, and how much worse than a fitted head that is made.
LAYERS = (("low", "low_y", 0.8), ("mid", "mid_y", 0.3), ("deep", "y", 0.0))
EXITS = [
    {"outputs": {"y": f"{layer}_y"}, "confidence": f"{layer}_confidence"}
    for layer, head, _ in LAYERS
    if head != "y"
]
#: Where the packages of these tests are cut by hand.
CUTS = (("low",), ("mid",))


def draw(count: int, *, seed: int) -> tuple[Array, Array]:
    """Return float32 [count, FEATURES] and int64 [count]: points around one centre a class."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(7).standard_normal((CLASSES, FEATURES))
    labels = rng.integers(0, CLASSES, count)
    points = centres[labels] + 0.9 * rng.standard_normal((count, FEATURES))
    return points.astype(np.float32), labels


def build() -> bytes:
    """Return the model as an ONNX file: three random layers, each read by a head fitted by least squares."""
    rng = np.random.default_rng(3)
    at, labels = draw(4000, seed=1)
    targets = np.where(np.eye(CLASSES)[labels], 5.0, -5.0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []
    source = "x"
    for layer, head, noise in LAYERS:
        weight = (rng.standard_normal((at.shape[1], WIDTH)) / np.sqrt(at.shape[1])).astype(np.float32)
        at = np.maximum(at @ weight, 0)
        fitted = np.linalg.lstsq(at, targets, rcond=None)[0]
        fitted = (fitted + noise * fitted.std() * rng.standard_normal(fitted.shape)).astype(np.float32)
        weights += [numpy_helper.from_array(weight, f"{layer}_w"), numpy_helper.from_array(fitted, f"{head}_w")]
        nodes += [
            helper.make_node("MatMul", [source, f"{layer}_w"], [f"{layer}_sum"]),
            helper.make_node("Relu", [f"{layer}_sum"], [layer]),
            helper.make_node("MatMul", [layer, f"{head}_w"], [f"{head}_logits"]),
            helper.make_node("Softmax", [f"{head}_logits"], [head], axis=1),
        ]
        if head != "y":
            nodes.append(helper.make_node("ReduceMax", [head], [f"{layer}_confidence"], axes=[1], keepdims=0))
        source = layer
    answers: dict[str, list[int | str]] = {head: ["N", CLASSES] for _, head, _ in LAYERS}
    answers |= {entry["confidence"]: ["N"] for entry in EXITS if isinstance(entry["confidence"], str)}
    graph = helper.make_graph(nodes, NAME, _infos({"x": ["N", FEATURES]}), _infos(answers), weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"splitnet.exits": json.dumps(EXITS)})
    content: bytes = model.SerializeToString()
    return content


def _infos(shapes: Mapping[str, list[int | str]]) -> list[onnx.ValueInfoProto]:
    return [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a request should get: answers `[n, CLASSES]`, and for each sample the tier that gives it."""

    y: Array
    exits: tuple[str, ...]


class WholeModel:
    """The model as onnxruntime runs it in one piece."""

    def __init__(self, model: bytes) -> None:
        self._session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, x: Array) -> Tensors:
        """Return every output, those of the exits too."""
        return dict(zip(self._outputs, self._session.run(None, {"x": x}), strict=True))

    def routed(self, x: Array, manifest: Manifest) -> Expected:
        """Return what tiers of that package should answer, where their wires change no value."""
        return route(self.run(x), manifest)


def by_hand(package: Path, x: Array) -> Expected:
    """Return what the package's files give when onnxruntime alone runs one after the other."""
    manifest, values = read_manifest(package), {"x": x}
    for segment in manifest.segments:
        session = ort.InferenceSession(package / segment.file, providers=["CPUExecutionProvider"])
        made = session.run(None, {entry.name: values[entry.name] for entry in segment.inputs})
        values |= {output.name: array for output, array in zip(session.get_outputs(), made, strict=True)}
    return route(values, manifest)


def route(values: Tensors, manifest: Manifest) -> Expected:
    """Apply the routing rule: the first exit that is sure answers."""
    y, exits = values["y"].copy(), [manifest.plan.last_tier] * len(values["y"])
    tiers = {segment.id: segment.tier for segment in manifest.segments}
    for entry in reversed(manifest.exits):
        for index in np.flatnonzero(values[entry.confidence] >= np.float32(entry.threshold)):
            y[index] = values[entry.outputs["y"]][index]
            exits[index] = tiers[entry.segment]
    return Expected(y, tuple(exits))
