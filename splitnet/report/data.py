"""What a report shows: plain figures, filled in by whoever planned; nothing here is computed or rendered."""

from dataclasses import dataclass
from typing import Literal

from splitnet.tiers import Tier

#: The expected time of one sample by stage, ms, in the order in which a sample meets them; each is one of
#: "device", "device exit", "device-edge", "edge", "edge exit", "edge-cloud", "cloud".
StageTimes = tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One way to run the model: the chosen plan, another split, or one of the unsplit choices.

    Attributes:
        name: unique in the report, such as "all-cloud" or "u8 after conv3".
        kind: "chosen" for the plan of the package, split or not; the others are "split" or "unsplit".
        tiers: the tiers that compute, from the device up.
        latency_ms: predicted, of one sample.
        measured_ms: the same as measured with the real segments; None where it was not.
        bytes: expected bytes of a sample upwards over all links, headers included.
        energy_mj: expected energy of the device for a sample, millijoules; None where unknown.
        accuracy: share of right (or unchanged) answers, 0 to 1; None where not measured.
        stages: expected time by stage; their sum is `latency_ms`.
        note: one sentence for people, such as why it was not chosen; may be empty.
        codecs: the codec on each link that is used, from the device up.
        value: in the report's objective and unit; None: the latency, bytes or energy above. "throughput" needs it.
    """

    name: str
    kind: Literal["chosen", "split", "unsplit"]
    tiers: tuple[Tier, ...]
    latency_ms: float
    measured_ms: float | None
    bytes: float
    energy_mj: float | None
    accuracy: float | None
    stages: StageTimes
    note: str
    codecs: tuple[str, ...] = ()
    value: float | None = None


@dataclass(frozen=True, slots=True)
class CutPoint:
    """One cut of the chain sent with one codec: what a split there costs with the best pair of tiers.

    Attributes:
        position: the cut's number on the chain, 0 for the model's input; several codecs share one.
        label: what people call the cut, such as the tensor's name.
        op: operator of the node just before the cut; "" for the input.
        tensors: the tensors that cross.
        codec: how they are sent.
        stages: expected time by stage; empty where not sendable.
        latency_ms: their sum; not read where not sendable.
        bytes: expected bytes of a sample upwards; not read where not sendable.
        sendable: whether this cut can be sent with this codec.
        tiers: the pair of tiers, lower first; () where it goes without saying.
    """

    position: int
    label: str
    op: str
    tensors: tuple[str, ...]
    codec: str
    stages: StageTimes
    latency_ms: float
    bytes: float
    sendable: bool
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the site: speed relative to the one that planned, memory in bytes, power in watts."""

    tier: Tier
    name: str
    description: str
    speed: float
    memory_bytes: int | None
    watts: float | None


@dataclass(frozen=True, slots=True)
class Link:
    """A link of the site, such as "device-edge": bits a second each way, delay one way and its variation in ms."""

    name: str
    bandwidth_bps: float
    delay_ms: float
    jitter_ms: float


@dataclass(frozen=True, slots=True)
class BandwidthCurve:
    """Latency (ms) of one plan at each bandwidth (bit/s, ascending, the same for all curves) of one link."""

    name: str
    bandwidths_bps: tuple[float, ...]
    latency_ms: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Takeover:
    """The bandwidth (bit/s) from which upwards the plan of the curve named `plan_name` is the best."""

    bandwidth_bps: float
    plan_name: str


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node of the model.

    Attributes:
        id: unique.
        op: operator.
        tier: where the chosen plan runs it; None where it is cloned into every segment that needs it.
        ms: its time on the machine of that tier; 0 where tier is None.
        weight_bytes: of the weights that it reads.
        node_class: "data", "shape" or "constant": only data nodes are cut.
    """

    id: str
    op: str
    tier: Tier | None
    ms: float
    weight_bytes: int
    node_class: str


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """A tensor from one node to another, by their ids.

    Attributes:
        source: id of the node that makes it.
        target: id of a node that reads it.
        nbytes: bytes of a sample; as sent where it crosses.
        crosses: whether the chosen plan sends it over a link.
        codec: how it is sent; "" where it does not cross.
    """

    source: str
    target: str
    nbytes: int
    crosses: bool
    codec: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that one report shows. A part whose data are empty is left out of the page.

    Attributes:
        model: name of the model.
        model_digest: hexadecimal SHA-256 of the model's file.
        created: when, as ISO 8601 text.
        objective: what was minimised.
        unit: unit of `bound` and of `Choice.value`: "ms" (for throughput of the slowest stage), "mJ" or "B".
        machines: one for each tier.
        links: from the device up.
        chosen: the plan of the package.
        alternatives: what else was weighed: the unsplit choices that are possible, and other splits.
        cuts: for each cut of the chain and each codec.
        pareto: the candidates in the picture of trade-offs; those that are dominated may be among them.
        curves: plans over the bandwidth of `swept_link`.
        takeovers: where the best of them changes, ascending.
        nodes: of the model, in topological order.
        edges: between them.
        measured: the candidates that were run, with `measured_ms`.
        given_up: what was tried and given up, one sentence or name each.
        bound: no plan can be better than this, in `unit`; None where unknown.
        gap: how far the plan may be from the optimum, as a share of its value; None where unknown.
        method: of the solver, such as "min-cut".
        words: headline and then paragraphs; empty to have them written from the data.
        chosen_positions: positions in `cuts` of the chosen plan's cuts, from the device up; () where it has none.
        swept_link: name of the link of `curves`; "" for the first.
    """

    model: str
    model_digest: str
    created: str
    objective: Literal["latency", "throughput", "energy", "bytes"]
    unit: str
    machines: tuple[Machine, ...]
    links: tuple[Link, ...]
    chosen: Choice
    alternatives: tuple[Choice, ...]
    cuts: tuple[CutPoint, ...]
    pareto: tuple[Choice, ...]
    curves: tuple[BandwidthCurve, ...]
    takeovers: tuple[Takeover, ...]
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    measured: tuple[Choice, ...]
    given_up: tuple[str, ...]
    bound: float | None
    gap: float | None
    method: str
    words: tuple[str, ...] = ()
    chosen_positions: tuple[int, ...] = ()
    swept_link: str = ""
