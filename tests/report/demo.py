"""Reports to test with and to look at: random models, seeded, with the planner's cost of every cut."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from splitnet.report import (
    BandwidthCurve,
    Choice,
    CutPoint,
    GraphEdge,
    GraphNode,
    Link,
    Machine,
    Report,
    Takeover,
)
from splitnet.tiers import Tier

CODECS = {"none": 1.0, "f16": 0.5, "u8": 0.25, "topk": 0.08}
SOFTWARE_MS = 0.9
HEADER_BYTES = 480


@dataclass(frozen=True, slots=True)
class Site:
    """Speeds of device and cloud relative to the profile, and the link between them."""

    device_speed: float
    cloud_speed: float = 2.0
    bandwidth_bps: float = 20e6
    delay_ms: float = 5.0
    exit_share: float = 1.0


@dataclass(frozen=True, slots=True)
class Model:
    """Nodes in order: operator, time (ms), weights (bytes), result (bytes), and indices of what each reads."""

    ops: list[str]
    ms: list[float]
    weights: list[int]
    nbytes: list[int]
    reads: list[tuple[int, ...]]

    def add(self, op: str, reads: Sequence[int], ms: float, nbytes: int, weights: int = 0) -> int:
        self.ops.append(op)
        self.ms.append(ms)
        self.weights.append(weights)
        self.nbytes.append(nbytes)
        self.reads.append(tuple(reads))
        return len(self.ops) - 1


def residual(nodes: int, seed: int) -> Model:
    """A convolutional network: blocks of five nodes with a skip, results that shrink."""
    draw = random.Random(seed)  # noqa: S311 - demonstration data
    model = Model([], [], [], [], [])
    last = model.add("Conv", (), 0.8, 120_000, 9_000)
    while len(model.ops) < nodes - 3:
        deep = len(model.ops) / nodes
        size = int(120_000 * 0.04**deep * draw.uniform(0.8, 1.2))
        low = model.add("Conv", (last,), draw.uniform(0.2, 1.1), size, int(4_000 + 90_000 * deep))
        low = model.add("Relu", (low,), draw.uniform(0.02, 0.06), size)
        low = model.add("Conv", (low,), draw.uniform(0.2, 1.1), size, int(4_000 + 90_000 * deep))
        low = model.add("Add", (low, last), draw.uniform(0.02, 0.06), size)
        last = model.add("Relu", (low,), draw.uniform(0.02, 0.06), size)
    last = model.add("GlobalAveragePool", (last,), 0.05, 2_048)
    last = model.add("Flatten", (last,), 0.004, 2_048)
    model.add("Gemm", (last,), 0.03, 40, 20_000)
    return model


def transformer(nodes: int, seed: int) -> Model:
    """A transformer: blocks of twelve nodes, queries, keys and values side by side, a mask that all read."""
    draw = random.Random(seed)  # noqa: S311 - demonstration data
    model = Model([], [], [], [], [])
    mask = model.add("Cast", (), 0.01, 512)
    last = model.add("Gather", (), 0.1, 393_216, 93_763_584)
    while len(model.ops) < nodes - 2:
        normal = model.add("LayerNormalization", (last,), 0.12, 393_216, 6_144)
        heads = [model.add("MatMul", (normal,), draw.uniform(0.9, 1.2), 393_216, 2_359_296) for _ in range(3)]
        key = model.add("Transpose", (heads[1],), 0.09, 393_216)
        scores = model.add("MatMul", (heads[0], key), 0.4, 786_432)
        masked = model.add("Add", (scores, mask), 0.08, 786_432)
        share = model.add("Softmax", (masked,), 0.2, 786_432)
        seen = model.add("MatMul", (share, heads[2]), 0.4, 393_216)
        last = model.add("Add", (seen, last), 0.05, 393_216)
        wide = model.add("MatMul", (last,), draw.uniform(3.5, 4.5), 1_572_864, 9_437_184)
        wide = model.add("Gelu", (wide,), 0.3, 1_572_864)
        low = model.add("MatMul", (wide,), draw.uniform(3.5, 4.5), 393_216, 9_437_184)
        last = model.add("Add", (low, last), 0.05, 393_216)
    last = model.add("ReduceMean", (last,), 0.02, 3_072)
    model.add("Gemm", (last,), 0.02, 8, 6_144)
    return model


def demo(model: Model, site: Site, *, input_bytes: int = 150_528) -> Report:
    """Return the report of the best two-tier plan for `model` over device and cloud."""
    points = cut_points(model, site, input_bytes)
    unsplit = _unsplit(model, site, input_bytes)
    best = min((point for point in points if point.sendable and point.position), key=lambda one: one.latency_ms)
    splits = _others(points, best)
    options = [_choice(best, "split"), *unsplit]
    chosen = replace(min(options, key=lambda one: one.latency_ms), kind="chosen")
    chosen = replace(chosen, measured_ms=1.04 * chosen.latency_ms)
    others = tuple(one for one in (*options, *splits) if one.name != chosen.name)
    bandwidths = tuple(10 ** (5 + 0.1 * step) for step in range(41))
    curves = tuple(_curve(one, bandwidths, site) for one in (chosen, *others))
    cut = best.position if len(chosen.tiers) > 1 else len(model.ops)
    nodes, edges = _graph(model, cut, best.codec, site, chosen)
    return Report(
        model="demo",
        model_digest="4f" * 32,
        created="2026-01-31T12:00:00+00:00",
        objective="latency",
        unit="ms",
        machines=(
            Machine("device", "pi-zero", "single-board computer, one thread", site.device_speed, 512_000_000, 1.9),
            Machine("edge", "edge-box", "mini computer under the desk", 1.0, 8_000_000_000, 18.0),
            Machine("cloud", "server", "two sockets, one thread used", site.cloud_speed, None, None),
        ),
        links=(Link("device-edge", site.bandwidth_bps, site.delay_ms, 1.5), Link("edge-cloud", 1e9, 4.0, 0.0)),
        chosen=chosen,
        alternatives=others,
        cuts=points,
        pareto=(chosen, *others),
        curves=curves,
        takeovers=_takeovers(curves),
        nodes=nodes,
        edges=edges,
        measured=(
            chosen,
            *(
                replace(one, measured_ms=one.latency_ms * (1.02 + 0.03 * number))
                for number, one in enumerate(splits[:4])
            ),
        ),
        given_up=("u4: 2.1 % of the answers changed",),
        bound=0.998 * chosen.latency_ms,
        gap=0.0,
        method="min-cut",
        chosen_positions=(best.position,) if len(chosen.tiers) > 1 else (),
    )


def cut_points(model: Model, site: Site, input_bytes: int) -> tuple[CutPoint, ...]:
    """Every cut along the order with every codec, on device and cloud."""
    last_read = [
        max((i for i, reads in enumerate(model.reads) if source in reads), default=-1)
        for source in range(len(model.ops))
    ]
    points = []
    for position in range(len(model.ops)):
        live = [source for source in range(position) if last_read[source] >= position]
        # What reads no node reads the input.
        feeds = input_bytes if any(not reads for reads in model.reads[position:]) else 0
        nbytes = sum(model.nbytes[source] for source in live) + feeds
        for codec, factor in CODECS.items():
            sendable = (position > 0 or codec == "none") and len(live) <= 4
            sent = nbytes * factor + HEADER_BYTES
            stages = _stages(model, site, position, sent) if sendable else ()
            op = model.ops[position - 1] if position else ""
            label = f"{op.lower()}_{position}" if position else "input"
            names = (
                tuple(f"{model.ops[source].lower()}_{source + 1}" for source in live) if position else ("input",)
            )
            tiers: tuple[Tier, ...] = ("device", "cloud") if position else ("cloud",)
            total = sum(ms for _, ms in stages)
            points.append(CutPoint(position, label, op, names, codec, stages, total, sent, sendable, tiers))
    return tuple(points)


def _stages(model: Model, site: Site, position: int, sent: float) -> tuple[tuple[str, float], ...]:
    below, above = sum(model.ms[:position]), sum(model.ms[position:])
    leaves = site.exit_share < 1 and position > 0.3 * len(model.ops)
    share = site.exit_share if leaves else 1.0
    stages = [("device", below / site.device_speed)] if below else []
    stages += [("device exit", 0.04 / site.device_speed)] if leaves else []
    stages.append(("device-edge", share * (2 * site.delay_ms + SOFTWARE_MS + 8e3 * sent / site.bandwidth_bps)))
    stages.append(("edge-cloud", share * (2 * 4.0 + SOFTWARE_MS + 8e3 * sent / 1e9)))
    return (*stages, ("cloud", share * above / site.cloud_speed))


def _choice(point: CutPoint, kind: Literal["split", "unsplit"]) -> Choice:
    """A split; a better answer for fewer lost bits, so that accuracy has something to trade."""
    accuracy = {"none": 0.953, "f16": 0.953, "u8": 0.951, "topk": 0.938}[point.codec]
    energy = 1.9 * dict(point.stages).get("device", 0.0) + 0.00012 * point.bytes
    return Choice(
        name=f"{point.codec} after {point.label}",
        kind=kind,
        tiers=point.tiers,
        latency_ms=point.latency_ms,
        measured_ms=None,
        bytes=point.bytes,
        energy_mj=energy,
        accuracy=accuracy,
        stages=point.stages,
        note="",
        codecs=(point.codec, point.codec),
    )


def _others(points: Sequence[CutPoint], best: CutPoint) -> list[Choice]:
    ranked = sorted((one for one in points if one.sendable and one.position), key=lambda one: one.latency_ms)
    return [_choice(one, "split") for one in ranked[:40:2] if one is not best][:14]


def _unsplit(model: Model, site: Site, input_bytes: int) -> list[Choice]:
    whole = sum(model.ms)
    found: list[tuple[str, Tier, tuple[tuple[str, float], ...], float]] = [
        ("all-device", "device", (("device", whole / site.device_speed),), 0.0),
    ]
    sent = input_bytes + HEADER_BYTES
    link = ("device-edge", 2 * site.delay_ms + SOFTWARE_MS + 8e3 * sent / site.bandwidth_bps)
    found.append(("all-edge", "edge", (link, ("edge", whole)), sent))
    up = ("edge-cloud", 8.0 + SOFTWARE_MS + 8e3 * sent / 1e9)
    found.append(("all-cloud", "cloud", (link, up, ("cloud", whole / site.cloud_speed)), 2 * sent))
    return [
        Choice(
            name=name,
            kind="unsplit",
            tiers=(tier,),
            latency_ms=sum(ms for _, ms in stages),
            measured_ms=None,
            bytes=nbytes,
            energy_mj=1.9 * dict(stages).get("device", 0.0) + 0.00012 * nbytes,
            accuracy=0.953,
            stages=stages,
            note="",
        )
        for name, tier, stages, nbytes in found
    ]


def _curve(choice: Choice, bandwidths: tuple[float, ...], site: Site) -> BandwidthCurve:
    sent_ms = 8e3 * choice.bytes / site.bandwidth_bps if len(choice.stages) > 1 else 0.0
    sent_ms = min(sent_ms, 0.95 * dict(choice.stages).get("device-edge", 0.0))
    return BandwidthCurve(
        choice.name,
        bandwidths,
        tuple(choice.latency_ms + sent_ms * (site.bandwidth_bps / at - 1) for at in bandwidths),
    )


def _takeovers(curves: Sequence[BandwidthCurve]) -> tuple[Takeover, ...]:
    found: list[Takeover] = []
    last = ""
    for index, bandwidth in enumerate(curves[0].bandwidths_bps):
        best = min(curves, key=lambda curve: curve.latency_ms[index]).name
        if last not in ("", best):
            found.append(Takeover(bandwidth, best))
        last = best
    return tuple(found)


def _graph(
    model: Model, cut: int, codec: str, site: Site, chosen: Choice
) -> tuple[tuple[GraphNode, ...], tuple[GraphEdge, ...]]:
    upper: Tier = chosen.tiers[-1]
    speed = {"device": site.device_speed, "edge": 1.0, "cloud": site.cloud_speed}
    names = [f"/{op.lower()}_{index + 1}" for index, op in enumerate(model.ops)]
    tiers: list[Tier] = [
        "device" if index < cut and chosen.tiers[0] == "device" else upper for index in range(len(names))
    ]
    nodes = [
        GraphNode(name, op, tier, ms / speed[tier], weights, "data")
        for name, op, tier, ms, weights in zip(names, model.ops, tiers, model.ms, model.weights, strict=True)
    ]
    nodes.append(GraphNode("/shape", "Shape", None, 0.0, 0, "shape"))
    edges = []
    for target, reads in enumerate(model.reads):
        for source in reads:
            crosses = tiers[source] != tiers[target]
            sent = int(model.nbytes[source] * CODECS[codec]) if crosses else model.nbytes[source]
            edges.append(GraphEdge(names[source], names[target], sent, crosses, codec if crosses else ""))
    return tuple(nodes), tuple(edges)


def small_split() -> Report:
    """A small model with an exit that is best cut."""
    report = demo(residual(29, 1), Site(device_speed=0.25, bandwidth_bps=8e6, exit_share=0.4))
    return replace(report, model="pcb-defects")


def large() -> Report:
    """A model of 1,000 nodes, cut in its depth."""
    site = Site(device_speed=0.6, cloud_speed=8.0, bandwidth_bps=30e6)
    return replace(demo(transformer(1000, 2), site, input_bytes=4_000_000), model="sentence-encoder-large")


def all_device() -> Report:
    """A model that is best not split: the device is quick and the link slow."""
    return replace(
        demo(residual(24, 3), Site(device_speed=1.0, bandwidth_bps=2e6, delay_ms=20)), model="keyword-spotter"
    )
