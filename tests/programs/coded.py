"""A model of images in three parts, packaged by hand with any coding on its wires.

The device halves `x` uint8 [batch, 3, 16, 16] to `t`, the edge halves that to `u` float32, and the cloud answers
the mean of each colour, `y` [batch, 3]. All of it is exact in float32: the order in which onnxruntime sums depends
on where its input lies in memory, and with it the last bit of a sum that rounds.
"""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from splitnet.coding import CodingName
from splitnet.package import (
    FORMAT_VERSION,
    LinkEntry,
    Manifest,
    ModelEntry,
    PlanEntry,
    SegmentEntry,
    StageEntry,
    TensorEntry,
    VerificationEntry,
    WireEntry,
    WireTensor,
    write_package,
)
from splitnet.tensors import BATCH, Array, TensorSpec
from splitnet.tiers import TIERS, Tier

NAME = "colours"
SHAPE = (3, 16, 16)
X = TensorSpec("x", "uint8", (BATCH, *SHAPE))
T = TensorSpec("t", "uint8", (BATCH, *SHAPE))
U = TensorSpec("u", "float32", (BATCH, *SHAPE))
Y = TensorSpec("y", "float32", (BATCH, 3))
_TYPES = {"uint8": TensorProto.UINT8, "float32": TensorProto.FLOAT}
#: What each tier takes, what it makes, and how.
_PARTS: dict[Tier, tuple[TensorSpec, TensorSpec, list[NodeProto]]] = {
    "device": (
        X,
        T,
        [
            helper.make_node("Cast", ["x"], ["x_f"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["x_f", "half"], ["t_f"]),
            helper.make_node("Cast", ["t_f"], ["t"], to=TensorProto.UINT8),
        ],
    ),
    "edge": (
        T,
        U,
        [
            helper.make_node("Cast", ["t"], ["t_again"], to=TensorProto.FLOAT),
            helper.make_node("Mul", ["t_again", "half"], ["u"]),
        ],
    ),
    "cloud": (U, Y, [helper.make_node("ReduceMean", ["u"], ["y"], axes=[2, 3], keepdims=0)]),
}


def smooth(count: int = 2) -> Array:
    """Return images whose colours change slowly, each its own way."""
    y, x = np.mgrid[0:16, 0:16]
    images = [[3 * x + 2 * y, 5 * y + index, 40 + 2 * index + x] for index in range(count)]
    return np.array(images, np.uint8)


def noise(count: int = 2) -> Array:
    """Return images that nothing makes smaller."""
    return np.random.default_rng(0).integers(0, 256, (count, *SHAPE), np.uint8)


def answer(x: Array) -> Array:
    """Return `y` of images, float32 `[batch, 3]`."""
    y: Array = (x // 2 * np.float32(0.5)).mean(axis=(2, 3))
    return y


def split(path: Path, device_edge: CodingName, edge_cloud: CodingName) -> Path:
    """Write the package cut in three and return its path."""
    files = {tier: _model(tier, [tier]) for tier in TIERS}
    return _write(path, files, [(T, device_edge), (U, edge_cloud)])


def all_cloud(path: Path, coding: CodingName) -> Path:
    """Write the package whose device and edge only send the images on, and return its path."""
    return _write(path, {"cloud": _model("cloud", TIERS)}, [(X, coding)] * 2)


def _model(name: str, parts: Sequence[Tier]) -> bytes:
    nodes = [node for part in parts for node in _PARTS[part][2]]
    infos = [
        helper.make_tensor_value_info(spec.name, _TYPES[spec.dtype], spec.shape)
        for spec in (_PARTS[parts[0]][0], _PARTS[parts[-1]][1])
    ]
    half = numpy_helper.from_array(np.array(0.5, np.float32), "half")
    graph = helper.make_graph(nodes, name, infos[:1], infos[1:], [half] if "half" in _read(nodes) else [])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    content: bytes = model.SerializeToString()
    return content


def _read(nodes: Sequence[NodeProto]) -> set[str]:
    return {name for node in nodes for name in node.input}


def _write(path: Path, files: Mapping[Tier, bytes], wires: list[tuple[TensorSpec, CodingName]]) -> Path:
    whole = len(files) == 1
    segments = tuple(
        SegmentEntry(
            id=tier,
            tier=tier,
            file=f"segments/{tier}.onnx",
            sha256=hashlib.sha256(files[tier]).hexdigest(),
            size_bytes=len(files[tier]),
            inputs=(TensorEntry.from_spec(X if whole else _PARTS[tier][0]),),
            outputs=(TensorEntry.from_spec(_PARTS[tier][1]),),
            opset_domains={"": 17},
            param_bytes=0,
            predicted_ms=1.0,
            measured_ms=1.0,
        )
        for tier in TIERS
        if tier in files
    )
    plan = PlanEntry(
        id="0123456789ab",
        segments=tuple(segment.id for segment in segments),
        wires=tuple(
            WireEntry(from_tier=TIERS[index], to_tier=TIERS[index + 1], tensors=(_wire_tensor(*wire),))
            for index, wire in enumerate(wires)
        ),
        stages=tuple(StageEntry(tier=tier, reach=1.0, compute_ms=1.0) for tier in TIERS[: len(wires) + 1]),
        objective="latency",
        value=3.0,
        bound=3.0,
        gap=0.0,
        method="by hand",
        predicted_ms=3.0,
        verification=VerificationEntry(level="bit-equal", max_abs=0.0, max_rel=0.0, samples=1, agreement=None),
    )
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        model=ModelEntry(
            name=NAME,
            version=1,
            sha256="0" * 64,
            opset=17,
            inputs=(TensorEntry.from_spec(X),),
            outputs=(TensorEntry.from_spec(Y),),
        ),
        segments=segments,
        plans=(plan,),
        links=(LinkEntry(bandwidth_bps=2e7, rtt_ms=10.0), LinkEntry(bandwidth_bps=1e8, rtt_ms=40.0)),
    )
    write_package(path, manifest, {segment.file: files[segment.tier] for segment in segments})
    return path


def _wire_tensor(spec: TensorSpec, coding: CodingName) -> WireTensor:
    return WireTensor(
        **TensorEntry.from_spec(spec).model_dump(),
        source=spec.name,
        coding=coding,
        batch_axis=spec.batch_axis,
        bytes_per_sample=spec.sample_nbytes,
    )
