"""From a model and a site to the planner's numbers."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from splitnet.codec import CODECS, CodecName, TensorCodec, ValueRange, codec_for, is_applicable
from splitnet.cost import Profile, Site, profile_model
from splitnet.graph import Cut, exit_position, head_nodes, model_bytes, nodes_between
from splitnet.partition.analysis import Analysis, value_ranges
from splitnet.plan import ExitPoint, LinkCost, Problem, Wire

#: Bytes of a message beside its tensors: parameters, names, HTTP/2, TCP and IP headers, both ways added up
#: (benchmarks/wire_bytes.py: 384 for the example, and a header of 52 bytes each way).
MESSAGE_BYTES = 480
#: What a hop adds in software on both of its sides, milliseconds (benchmarks/pipeline_latency.py).
HOP_MS = 0.9
#: CPU time of a codec's nodes, milliseconds per million float32 values: on 200,704 values a Cast took 0.028 ms
#: and QuantizeLinear 0.12 ms, one thread of a server core.
_CODEC_MS_PER_MILLION = {"none": 0.0, "f16": 0.14, "u8": 0.6}


@dataclass(frozen=True, slots=True)
class Costs:
    """The planner's problem with what it was made from.

    Attributes:
        problem: the numbers.
        profile: the model's time on this machine.
        ranges: the values' ranges, for u8.
    """

    problem: Problem
    profile: Profile
    ranges: dict[str, ValueRange]


def wire_codecs(analysis: Analysis, position: int, codec: CodecName, costs: Costs) -> tuple[TensorCodec, ...]:
    """Return how each boundary tensor of the cut at `position` is sent under `codec`."""
    return _codecs(analysis, analysis.cuts[position], codec, costs.ranges)


def measure_costs(
    analysis: Analysis,
    site: Site,
    *,
    seconds: float,
    codecs: Sequence[CodecName] = CODECS,
    on_progress: Callable[[float], None] | None = None,
) -> Costs:
    """Profile the model here, scale to the site's machines, and list the ways to send each cut.

    Raises:
        ModelError: onnxruntime fails on the model.
    """
    content = model_bytes(analysis.model)
    nodes = [node.name for node in analysis.model.graph if node.name is not None]
    profile = profile_model(
        content, analysis.samples.take([0]), seconds=seconds, nodes=nodes, on_progress=on_progress
    )
    crossing = {name for cut in analysis.cuts for name in cut.tensors if name in analysis.specs}
    ranges = value_ranges(analysis, crossing)
    return Costs(_problem(analysis, site, profile, ranges, codecs), profile, ranges)


def restrict(costs: Costs, codecs: Sequence[CodecName]) -> Costs:
    """Return the same costs with only `codecs` (and the input as it is) to choose from."""
    problem = costs.problem
    wires = tuple(
        tuple(wire for wire in choices if wire.codec in codecs or position == 0)
        for position, choices in enumerate(problem.wires)
    )
    return Costs(replace(problem, wires=wires), costs.profile, costs.ranges)


def _problem(
    analysis: Analysis, site: Site, profile: Profile, ranges: dict[str, ValueRange], codecs: Sequence[CodecName]
) -> Problem:
    cuts = analysis.cuts
    steps = tuple(
        sum(profile.node_ms.get(name, 0.0) for name in nodes_between(lower, upper))
        for lower, upper in itertools.pairwise(cuts)
    )
    exits = _exit_points(analysis, profile)
    reached = frozenset(range(len(exits)))
    return Problem(
        cost_ms=steps,
        wires=tuple(_wires(analysis, cut, ranges, codecs) for cut in cuts),
        speeds=(site.device.speed, site.edge.speed, site.cloud.speed),
        links=(_link(site, 0), _link(site, 1)),
        exits=exits,
        survival={used: left for used, left in analysis.exits.survival.items() if used <= reached},
        answer_nbytes=float(sum(spec.sample_nbytes for spec in analysis.outputs)),
        # A device that has sent everything up has nothing to say when nobody answers.
        exit_on_device_required=bool(exits),
    )


def _link(site: Site, index: int) -> LinkCost:
    link = site.links[index]
    return LinkCost(link.bandwidth_bps, link.delay_ms, HOP_MS)


def _wires(
    analysis: Analysis, cut: Cut, ranges: dict[str, ValueRange], codecs: Sequence[CodecName]
) -> tuple[Wire, ...]:
    """The ways to send `cut`: none where a tensor of it cannot be sent; the input only as it is."""
    specs = [analysis.specs.get(name) for name in cut.tensors]
    if not specs or any(spec is None or (analysis.batched and spec.batch_axis is None) for spec in specs):
        return ()
    known = [spec for spec in specs if spec is not None]
    # Cut elsewhere, the parts of a quantised model are fused differently than the whole, and answer differently.
    if analysis.quantised and cut.position > 0 and not analysis.quantised.issuperset(cut.tensors):
        return ()
    usable: list[CodecName] = [
        codec for codec in codecs if all(is_applicable(codec, spec, ranges.get(spec.name)) for spec in known)
    ]
    if cut.position == 0:
        usable = ["none"]
    return tuple(_wire(analysis, cut, codec, ranges) for codec in usable)


def _wire(analysis: Analysis, cut: Cut, codec: CodecName, ranges: dict[str, ValueRange]) -> Wire:
    tensors = _codecs(analysis, cut, codec, ranges)
    nbytes = MESSAGE_BYTES + sum(tensor.wire.sample_nbytes for tensor in tensors)
    values = sum(tensor.tensor.sample_nbytes / 4 for tensor in tensors if tensor.name != "none")
    codec_ms = _CODEC_MS_PER_MILLION[codec] * values / 1e6
    return Wire(codec, float(nbytes), codec_ms, codec_ms)


def _codecs(
    analysis: Analysis, cut: Cut, codec: CodecName, ranges: dict[str, ValueRange]
) -> tuple[TensorCodec, ...]:
    return tuple(codec_for(codec, analysis.specs[name], ranges.get(name)) for name in cut.tensors)


def _exit_points(analysis: Analysis, profile: Profile) -> tuple[ExitPoint, ...]:
    trunk = analysis.cuts[-1].nodes
    points = []
    for head in analysis.exits.heads:
        own = head_nodes(analysis.model, head.tensors, trunk)
        cost_ms = sum(profile.node_ms.get(name, 0.0) for name in own)
        position = exit_position(analysis.cuts, analysis.model, head.tensors)
        points.append(ExitPoint(head.confidence, position, cost_ms))
    # Above the last cut by hand is the last tier, which answers by itself: exits there are of no use.
    while points and points[-1].position >= analysis.cuts[-1].position:
        points.pop()
    return tuple(points)
