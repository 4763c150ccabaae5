"""Running a partition job, and running what it wrote: by onnxruntime alone, and as three tiers in process."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from splitnet.cost import Link, Site, default_site
from splitnet.onnx_session import OnnxSession
from splitnet.package import Package, TensorEntry, open_package
from splitnet.partition import PartitionOptions, PartitionResult, partition
from splitnet.runtime import BoundedExecutor, Forward, Pipeline
from splitnet.tensors import Array, Tensors, take_samples
from splitnet.tier import SegmentLoader, answers_from, own_stage
from splitnet.tiers import TIERS


def site(*, device_speed: float = 0.1, bandwidth_bps: float = 20e6, uplink_bps: float = 100e6) -> Site:
    """The default deployment with other numbers; links without delay."""
    base = default_site()
    return base.model_copy(
        update={
            "device": base.device.model_copy(update={"speed": device_speed}),
            "links": (Link(bandwidth_bps=bandwidth_bps, delay_ms=0), Link(bandwidth_bps=uplink_bps, delay_ms=0)),
        }
    )


def job(model: onnx.ModelProto | Path, folder: Path, **options: Any) -> PartitionResult:
    """Partition `model` into a package in `folder`, quickly."""
    path = model if isinstance(model, Path) else folder / "model.onnx"
    if isinstance(model, onnx.ModelProto):
        path.write_bytes(model.SerializeToString())
    given: dict[str, Any] = {"output": folder / "out.split", "site": default_site(), "profile_s": 0.05} | options
    return partition(PartitionOptions(model=path, **given))


def calibration(folder: Path, **arrays: Any) -> Path:
    path = folder / "calibration.npz"
    np.savez(path, **arrays)
    return path


def feeds(package: Package, count: int, seed: int = 0) -> Tensors:
    """Random values for the model's inputs."""
    rng = np.random.default_rng(seed)
    specs = [entry.to_spec() for entry in package.manifest.model.inputs]
    shapes = {spec.name: [size if isinstance(size, int) else count for size in spec.shape] for spec in specs}
    return {spec.name: rng.standard_normal(shapes[spec.name]).astype(spec.dtype) for spec in specs}


def run_whole(model: Path, inputs: Tensors) -> Tensors:
    return OnnxSession(model.read_bytes(), name="whole", optimisation="basic").run(inputs)


def take(entries: Sequence[TensorEntry], tensors: Tensors, which: Array) -> Tensors:
    """The samples `which` of those of `tensors` that `entries` describe."""
    specs = {entry.name: entry.to_spec() for entry in entries}
    return {name: take_samples(spec, tensors[name], which) for name, spec in specs.items() if name in tensors}


def run_segments(package: Package, inputs: Tensors, keep: Sequence[Array] = ()) -> list[Tensors]:
    """Run the files one after the other, as any runtime would, and return what each tier made.

    Between tiers only the wire's tensors survive, and of their samples those that `keep` names for that wire.
    """
    manifest, values, made = package.manifest, dict(inputs), []
    for index, tier in enumerate(TIERS[: len(manifest.plan.wires) + 1]):
        segment = manifest.segment_of(tier)
        outputs: Tensors = {}
        if segment is not None:
            session = OnnxSession(package.read_segment(segment), name=tier, optimisation="basic")
            assert session.inputs == tuple(entry.name for entry in segment.inputs)
            assert set(session.outputs) == {entry.name for entry in segment.outputs}
            outputs = session.run(values)
            for entry in segment.outputs:
                entry.to_spec().check(outputs[entry.name])
        made.append(outputs)
        if index < len(manifest.plan.wires):
            wire = manifest.plan.wires[index]
            at_hand = values | outputs
            values = {tensor.name: at_hand[tensor.name] for tensor in wire.tensors}
            if keep:
                values = take(wire.tensors, values, keep[index])
    return made


def answers(package: Package, inputs: Tensors) -> Tensors:
    """The model's own outputs, from wherever they are made."""
    made = run_segments(package, inputs)
    names = [entry.name for entry in package.manifest.model.outputs]
    return {name: array for outputs in made for name, array in outputs.items() if name in names}


@contextmanager
def deployed(package: Package) -> Iterator[Pipeline]:
    """The device's pipeline of a package read anew from disk, with those of edge and cloud behind it."""
    package = open_package(package.path)
    manifest = package.manifest
    load = SegmentLoader(package)
    executors = []
    forward: Forward | None = None
    pipeline: Pipeline | None = None
    for tier in reversed(TIERS[: len(manifest.plan.wires) + 1]):
        executors.append(BoundedExecutor(workers=1, limit=64, name=tier))
        outputs = answers_from(manifest, tier)
        stages = [own_stage(package, tier, load)]
        pipeline = Pipeline(stages, outputs, executors[-1], forward=forward)
        forward = pipeline.submit
    assert pipeline is not None
    try:
        yield pipeline
    finally:
        for executor in executors:
            executor.close()
