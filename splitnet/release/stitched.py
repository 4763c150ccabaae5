"""Running a plan's segments one after the other, as tiers would, with every sample going all the way up."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from splitnet.coding import decode, encode
from splitnet.errors import ModelError
from splitnet.onnx_session import OnnxSession
from splitnet.package import Package, PlanEntry, WireEntry, WireTensor
from splitnet.samples import Samples
from splitnet.tensors import Array, Tensors, take_samples
from splitnet.tiers import TIERS, Tier

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Observation:
    """What a plan's segments gave for every sample.

    Attributes:
        values: confidences and answers of every exit, and the model's own answers, by name, for all samples.
        sent_bytes: `[wires, n]`, the bytes of each sample's tensors on each wire after codec and coding; a sample
            that leaves below a wire does not send them.
    """

    values: Tensors
    sent_bytes: NDArray[np.int64]


def observe(package: Package, plan: PlanEntry, samples: Samples) -> Observation:
    """Run the segments of `plan` on all samples, as tiers run them: optimised, codecs and codings included.

    Raises:
        PackageError: a segment is missing or altered.
        ModelError: onnxruntime refuses a segment.
        InvalidArgumentError: the samples are not the model's.
    """
    manifest = package.manifest
    sessions = {
        segment.tier: OnnxSession(package.read_segment(segment), name=f"segment {segment.id!r}")
        for segment in manifest.segments
        if segment.id in plan.segments
    }
    kept = {entry.name for entry in manifest.model.outputs}
    for entry in manifest.exits:
        kept |= {entry.confidence, *entry.outputs.values()} if entry.segment in plan.segments else set()
    parts: dict[str, list[Array]] = {name: [] for name in kept}
    sent: list[NDArray[np.int64]] = []
    for batch in _batches(samples):
        made, sent_bytes = _ascend(plan, sessions, batch)
        sent.append(sent_bytes)
        for name in kept:
            parts[name].append(made[name])
    return Observation({name: np.concatenate(arrays) for name, arrays in parts.items()}, np.hstack(sent))


def _batches(samples: Samples) -> Iterator[Tensors]:
    for start in range(0, samples.count, _BATCH):
        yield samples.take(range(start, min(start + _BATCH, samples.count)))


def _ascend(
    plan: PlanEntry, sessions: Mapping[Tier, OnnxSession], batch: Tensors
) -> tuple[Tensors, NDArray[np.int64]]:
    """Return all that the segments make of a batch, and the bytes of each sample on each wire."""
    values, made = batch, Tensors()
    sent_bytes: list[NDArray[np.int64]] = []
    for index in range(len(plan.wires) + 1):
        if (session := sessions.get(TIERS[index])) is not None:
            own = session.run(values)
            values, made = values | own, made | own
        if index < len(plan.wires):
            values, nbytes = _send(plan.wires[index], values)
            sent_bytes.append(nbytes)
    count = len(next(iter(made.values())))
    return made, np.array(sent_bytes, np.int64).reshape(len(plan.wires), count)


def _send(wire: WireEntry, values: Tensors) -> tuple[Tensors, NDArray[np.int64]]:
    """Return what arrives over a wire, each sample as a request of its own, and the bytes of each."""
    arrived, total = Tensors(), np.zeros((), np.int64)
    for tensor in wire.tensors:
        array, axis = values[tensor.name], tensor.batch_axis
        if axis is None:
            raise ModelError(f"wire tensor {tensor.name!r} has no batch axis: its samples cannot be told apart")
        count = array.shape[axis]
        if tensor.coding == "none":
            arrived[tensor.name] = array
            total = total + np.full(count, array.nbytes // count)
        else:
            samples = [take_samples(tensor.to_spec(), array, np.array([index])) for index in range(count)]
            pairs = [_coded(tensor, sample) for sample in samples]
            arrived[tensor.name] = np.concatenate([sample for sample, _ in pairs], axis=axis)
            total = total + np.array([nbytes for _, nbytes in pairs])
    return arrived, total


def _coded(tensor: WireTensor, array: Array) -> tuple[Array, int]:
    """What arrives of one sample, and its bytes; what a coding makes larger is sent plain."""
    if tensor.coding == "none":
        return array, array.nbytes
    content = encode(tensor.coding, array)
    if len(content) >= array.nbytes:
        return array, array.nbytes
    back = decode(tensor.coding, content, dtype=array.dtype.name, shape=array.shape, max_bytes=array.nbytes)
    return back, len(content)
