"""Cutting: each tier's ONNX segment, with its exit at the end and the codecs' nodes at its boundaries."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from splitnet.codec import CodecName, TensorCodec, append_encoder, prepend_decoder
from splitnet.graph import extract_segment, model_bytes
from splitnet.partition.analysis import Analysis
from splitnet.partition.costs import Costs, wire_codecs
from splitnet.partition.exit_metadata import ExitDescription
from splitnet.plan import Placement
from splitnet.tensors import TensorSpec
from splitnet.tiers import TIERS, Tier


@dataclass(frozen=True, slots=True)
class BuiltSegment:
    """One tier's segment, ready to be written.

    Attributes:
        tier: where it runs.
        content: the ONNX file.
        inputs: what it takes.
        outputs: what it makes: wires, exit answers, the model's own answers.
        exit: the exit attached at its end, if any.
        opset_domains: opset version by domain.
        param_bytes: bytes of its weights.
    """

    tier: Tier
    content: bytes
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    exit: ExitDescription | None
    opset_domains: dict[str, int]
    param_bytes: int


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """All segments of a placement and the wires between its tiers.

    Attributes:
        segments: in order of tiers; a tier that only relays has none.
        wires: for each link used, how every boundary tensor is sent.
    """

    segments: tuple[BuiltSegment, ...]
    wires: tuple[tuple[TensorCodec, ...], ...]

    def segment_of(self, tier: Tier) -> BuiltSegment | None:
        """The segment that runs at `tier`, if any."""
        return next((segment for segment in self.segments if segment.tier == tier), None)


def build(analysis: Analysis, costs: Costs, placement: Placement) -> BuiltPlan:
    """Cut the model as `placement` says."""
    wires = tuple(wire_codecs(analysis, position, _codec(codec), costs) for position, codec in placement.wires)
    segments = []
    for index in range(placement.last + 1):
        segment = _segment(analysis, placement, wires, index)
        if segment is not None:
            segments.append(segment)
    return BuiltPlan(tuple(segments), wires)


def _codec(name: str) -> CodecName:
    assert name in ("none", "f16", "u8"), name
    return name  # type: ignore[return-value]  # just checked


def _segment(
    analysis: Analysis, placement: Placement, wires: Sequence[tuple[TensorCodec, ...]], index: int
) -> BuiltSegment | None:
    """Cut the segment of tier `index`; None where it would compute nothing."""
    incoming = wires[index - 1] if index else tuple(TensorCodec("none", spec) for spec in analysis.inputs)
    outgoing = wires[index] if index < placement.last else ()
    arriving = {codec.wire.name for codec in incoming}
    sending = [codec for codec in outgoing if codec.wire.name not in arriving]
    chosen = placement.exits[index] if index < placement.last else None
    head = analysis.exits.heads[chosen] if chosen is not None else None
    answers = _answers(analysis, placement, index)
    wanted = dict.fromkeys([codec.tensor.name for codec in sending])
    kept = dict.fromkeys([*(head.tensors if head is not None else ()), *answers])
    if not wanted and not kept:
        return None
    taken = [codec.tensor for codec in incoming]
    if kept or not wanted.keys() <= {spec.name for spec in taken}:
        model = extract_segment(analysis.model, [spec.name for spec in taken], [*kept, *wanted])
        _drop_outputs(model, {codec.tensor.name for codec in sending} - kept.keys())
    else:
        model = _empty(analysis.model, taken)
    for codec in sending:
        append_encoder(model, codec)
    for codec in incoming:
        prepend_decoder(model, codec)
    _sort_weights(model)
    outputs = tuple(analysis.specs[name] for name in kept) + tuple(codec.wire for codec in sending)
    return BuiltSegment(
        TIERS[index],
        model_bytes(model),
        tuple(codec.wire for codec in incoming),
        outputs,
        head,
        dict(model.opset_imports),
        _param_bytes(model),
    )


def _empty(source: ir.Model, taken: Sequence[TensorSpec]) -> ir.Model:
    """A segment without nodes, for a tier that sends on what it takes in another codec."""
    inputs = [
        ir.Value(
            name=spec.name,
            type=ir.TensorType(ir.DataType.from_numpy(np.dtype(spec.dtype))),
            shape=ir.Shape(spec.shape),
        )
        for spec in taken
    ]
    graph = ir.Graph(inputs, [], nodes=[], opset_imports={"": source.opset_imports[""]}, name="relay")
    return ir.Model(graph, ir_version=source.ir_version)


def _answers(analysis: Analysis, placement: Placement, index: int) -> list[str]:
    """The model's own outputs that tier `index` makes for good: all that are left at the last tier."""
    cuts = analysis.cuts
    start = placement.wires[index - 1][0] if index else 0
    end = placement.wires[index][0] if index < placement.last else len(cuts) - 1
    producers = {name: value.producer() for name, value in _outputs(analysis.model).items()}
    answers = []
    for name in analysis.output_names:
        producer = producers[name]
        node = producer.name if producer is not None else None
        if node in cuts[end].nodes and node not in cuts[start].nodes:
            answers.append(name)
    return answers


def _outputs(model: ir.Model) -> dict[str, ir.Value]:
    return {value.name: value for value in model.graph.outputs if value.name is not None}


def _drop_outputs(model: ir.Model, names: set[str]) -> None:
    kept = [value for value in model.graph.outputs if value.name not in names]
    del model.graph.outputs[:]
    model.graph.outputs.extend(kept)


def _sort_weights(model: ir.Model) -> None:
    """Put weights in order of their names: extraction takes them from a set, and a plan is named by its bytes."""
    weights = sorted(model.graph.initializers.items())
    model.graph.initializers.clear()
    for _, value in weights:
        model.graph.register_initializer(value)


def _param_bytes(model: ir.Model) -> int:
    tensors = (value.const_value for value in model.graph.initializers.values())
    return sum(tensor.nbytes for tensor in tensors if tensor is not None)
