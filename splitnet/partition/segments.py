"""Cutting: each tier's ONNX segment, with its exit at the end and the codecs' nodes at its boundaries."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from splitnet.codec import TensorCodec, append_encoder, codec_for, prepend_decoder
from splitnet.codec_names import CodingName
from splitnet.graph import extract_segment
from splitnet.partition.analysis import Analysis
from splitnet.partition.exit_metadata import ExitDescription
from splitnet.partition.seen import Seen
from splitnet.partition.ways import Way
from splitnet.plan import Placement
from splitnet.tensors import TensorSpec
from splitnet.tiers import TIERS, Tier


@dataclass(frozen=True, slots=True)
class BuiltSegment:
    """One tier's segment, ready to be written.

    Attributes:
        tier: where it runs.
        model: its graph; weights are shared with the whole model's.
        inputs: what it takes.
        outputs: what it makes: wires, exit answers, the model's own answers.
        exit: the exit attached at its end, if any.
        nodes: names of the model's nodes in it, without those of codecs.
        opset_domains: opset version by domain.
        param_bytes: bytes of its weights.
    """

    tier: Tier
    model: ir.Model
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    exit: ExitDescription | None
    nodes: tuple[str, ...]
    opset_domains: dict[str, int]
    param_bytes: int


@dataclass(frozen=True, slots=True)
class SentTensor:
    """A boundary tensor on a wire: its codec in the segments, and the coding outside them."""

    codec: TensorCodec
    coding: CodingName

    @property
    def way(self) -> Way:
        """Both, as the planner names them; the codec is "none" where the one asked for does not apply."""
        return Way(self.codec.name, self.coding)


@dataclass(frozen=True, slots=True)
class BuiltPlan:
    """All segments of a placement and the wires between its tiers.

    Attributes:
        placement: what was built.
        segments: in order of tiers; a tier that only relays has none.
        wires: for each link used, how every boundary tensor is sent.
    """

    placement: Placement
    segments: tuple[BuiltSegment, ...]
    wires: tuple[tuple[SentTensor, ...], ...]

    def segment_of(self, tier: Tier) -> BuiltSegment | None:
        """The segment that runs at `tier`, if any."""
        return next((segment for segment in self.segments if segment.tier == tier), None)

    @property
    def sent(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """For each link used, every tensor and the name of the way it is sent."""
        return tuple(tuple((one.codec.tensor.name, one.way.name) for one in wire) for wire in self.wires)

    @property
    def rounds(self) -> bool:
        """Whether a float16 tensor crosses: onnxruntime keeps float32 between operators, where a cut rounds."""
        return any(one.codec.tensor.dtype == "float16" for wire in self.wires for one in wire)

    @property
    def lossy(self) -> tuple[tuple[str, str], ...]:
        """What may change answers: (tensor, way to send it), each once."""
        sent = dict.fromkeys((one.codec.tensor.name, one.way) for wire in self.wires for one in wire)
        return tuple((tensor, way.name) for tensor, way in sent if way.loss is not None)


def build(analysis: Analysis, placement: Placement, seen: Seen) -> BuiltPlan:
    """Cut the model as `placement` says.

    Args:
        analysis: the model.
        placement: which tier runs what, and how tensors are sent.
        seen: what the codecs need to know of the tensors' values.
    """
    wires = tuple(_wire(analysis, ways, seen) for ways in placement.codecs)
    segments = []
    for index in range(placement.last + 1):
        segment = _segment(analysis, placement, wires, index)
        if segment is not None:
            segments.append(segment)
    return BuiltPlan(placement, tuple(segments), wires)


def _wire(analysis: Analysis, ways: Mapping[str, str], seen: Seen) -> tuple[SentTensor, ...]:
    sent = []
    for tensor, name in ways.items():
        way = Way.named(name)
        codec = codec_for(
            way.codec, analysis.specs[tensor], seen.statistics.get(tensor), seen.bottlenecks.get(tensor)
        )
        sent.append(SentTensor(codec, way.coding))
    return tuple(sent)


def _segment(
    analysis: Analysis, placement: Placement, wires: Sequence[tuple[SentTensor, ...]], index: int
) -> BuiltSegment | None:
    """Cut the segment of tier `index`; None where it would compute nothing."""
    incoming = (
        [one.codec for one in wires[index - 1]] if index else [TensorCodec("none", s) for s in analysis.inputs]
    )
    outgoing = [one.codec for one in wires[index]] if index < placement.last else []
    arriving = {spec.name for codec in incoming for spec in codec.wires}
    sending = [codec for codec in outgoing if not arriving.issuperset(spec.name for spec in codec.wires)]
    head = _head(analysis, placement, index)
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
    nodes = tuple(node.name for node in model.graph if node.name is not None)
    for codec in sending:
        append_encoder(model, codec)
    for codec in incoming:
        prepend_decoder(model, codec)
    _sort_weights(model)
    return BuiltSegment(
        tier=TIERS[index],
        model=model,
        inputs=tuple(spec for codec in incoming for spec in codec.wires),
        outputs=(
            *(analysis.specs[name] for name in kept),
            *(spec for codec in sending for spec in codec.wires),
        ),
        exit=head,
        nodes=nodes,
        opset_domains=dict(model.opset_imports),
        param_bytes=_param_bytes(model),
    )


def _head(analysis: Analysis, placement: Placement, index: int) -> ExitDescription | None:
    """The exit attached at tier `index`; the last tier has none."""
    chosen = placement.exits[index] if index < placement.last else None
    return next((head for head in analysis.exits.heads if head.confidence == chosen), None)


def _answers(analysis: Analysis, placement: Placement, index: int) -> list[str]:
    """The model's own outputs that tier `index` makes for good."""
    producers = {tensor.name: tensor.producer for tensor in analysis.flow.tensors if tensor.is_output}
    tier_of = placement.tier_of
    return [
        name
        for name in analysis.output_names
        if (producer := producers.get(name)) is not None and tier_of[producer] == TIERS[index]
    ]


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
