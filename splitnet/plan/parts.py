"""What a table of costs is made of: nodes, tensors and the ways to send them, links, exits."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import ConfigDict, Field, StrictFloat, with_config

Amount = Annotated[StrictFloat, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[StrictFloat, Field(ge=0, le=1, allow_inf_nan=False)]
Name = Annotated[str, Field(min_length=1)]
#: On device, edge and cloud.
PerTier = tuple[Amount, Amount, Amount]
#: On device, edge and cloud; None where that tier cannot do it.
WherePossible = tuple[Amount | None, Amount | None, Amount | None]

#: How a tensor is sent that does not say how.
PLAIN = "none"

CONFIG = ConfigDict(extra="forbid")


@with_config(CONFIG)
@dataclass(frozen=True, slots=True)
class Node:
    """One operator or block.

    Attributes:
        id: its name, unique among the nodes.
        cost_ms: time of one sample on device, edge and cloud, in ms; None: it cannot run on that tier.
        memory_bytes: what it holds of its tier's memory.
        energy_mj: energy of one sample on device, edge and cloud, in mJ; only the objective "energy" needs it.
    """

    id: Name
    cost_ms: WherePossible
    memory_bytes: Amount = 0.0
    energy_mj: WherePossible | None = None


@with_config(CONFIG)
@dataclass(frozen=True, slots=True)
class CodecCost:
    """One way to send a tensor upwards.

    Attributes:
        codec: its name, unique among the ways of one tensor.
        bytes: size of one sample on the wire.
        encode_ms: time to encode one sample on device, edge and cloud, in ms.
        decode_ms: time to decode one sample there, in ms.
        encode_mj: energy to encode one sample there, in mJ; the objective "energy" needs it where time is spent.
        decode_mj: energy to decode one sample there, in mJ; likewise.
    """

    codec: Name
    bytes: Amount
    encode_ms: PerTier = (0.0, 0.0, 0.0)
    decode_ms: PerTier = (0.0, 0.0, 0.0)
    encode_mj: PerTier | None = None
    decode_mj: PerTier | None = None


@with_config(CONFIG)
@dataclass(frozen=True, slots=True)
class Tensor:
    """What flows from one node to others.

    Attributes:
        id: its name, unique among the tensors.
        producer: the node that makes it, or None: an input of the model, which is on the device.
        consumers: the nodes that read it; none: it is an answer, which goes back to the device.
        bytes: its size for one sample.
        codecs: the ways to send it upwards; None: as it is, with `bytes`; empty: it cannot cross a link upwards.
    """

    id: Name
    producer: Name | None
    consumers: tuple[Name, ...]
    bytes: Amount
    codecs: tuple[CodecCost, ...] | None = None

    @property
    def ways(self) -> tuple[CodecCost, ...]:
        """The ways to send it upwards."""
        return (CodecCost(PLAIN, self.bytes),) if self.codecs is None else self.codecs


@with_config(CONFIG)
@dataclass(frozen=True, slots=True)
class Link:
    """What a link costs.

    Attributes:
        bandwidth_bps: bits a second, above zero.
        rtt_ms: paid once by a sample that crosses the link, in ms.
        energy_mj_per_byte: energy of one byte, up or down, in mJ.
        message_bytes: paid once by a sample that crosses the link, both ways together: headers.
    """

    bandwidth_bps: Annotated[StrictFloat, Field(gt=0, allow_inf_nan=False)]
    rtt_ms: Amount
    energy_mj_per_byte: Amount = 0.0
    message_bytes: Amount = 0.0


@with_config(CONFIG)
@dataclass(frozen=True, slots=True)
class Exit:
    """A head that may be attached to the device or the edge and answers the samples that it is sure of.

    Attributes:
        id: its name, unique among the exits.
        reads: the tensors that it reads; its tier computes all that they depend on.
        cost_ms: time of one sample on device, edge and cloud, in ms; None: it cannot run on that tier.
        energy_mj: energy of one sample there, in mJ; only the objective "energy" needs it.
        memory_bytes: what it holds of its tier's memory.
    """

    id: Name
    reads: tuple[Name, ...]
    cost_ms: WherePossible
    energy_mj: WherePossible | None = None
    memory_bytes: Amount = 0.0


@with_config(CONFIG)
@dataclass(frozen=True, slots=True)
class Survival:
    """How many samples get past some exits.

    Attributes:
        exits: one exit, or one of the device and one of the edge.
        share: the share of all samples that left at none of them, 0 to 1.
    """

    exits: tuple[Name, ...]
    share: Share
