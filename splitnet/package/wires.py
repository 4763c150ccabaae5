"""Entries of a manifest for what crosses links: the tensors as they are sent, and the links as planned for."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from splitnet.codec_names import CodecName, CodingName
from splitnet.config import Frozen
from splitnet.package.entries import Count, Name, NotNegative, TensorEntry
from splitnet.tensors import TensorSpec
from splitnet.tiers import Tier

#: Bytes of a message and its answer beside the tensors that go up: parameters, names, scores, HTTP/2, TCP and IP
#: headers, both ways added up (benchmarks/wire_bytes.py: 384 for the example, and a header of 52 bytes each way).
MESSAGE_BYTES = 480


class WireTensor(TensorEntry):
    """A boundary tensor as it is sent: after its codec, whose nodes are in the segments, and before its coding.

    Attributes:
        source: the boundary tensor that it carries; a codec may make several wire tensors of one.
        codec: how it was made of its source.
        coding: how its bytes are coded on the link, outside the segments.
        batch_axis: index of "batch" in the shape.
        bytes_per_sample: before the coding.
        coded_bytes_per_sample: after it, the mean as measured; None without a coding.
    """

    source: Name
    codec: CodecName = "none"
    coding: CodingName = "none"
    batch_axis: int | None
    bytes_per_sample: Count
    coded_bytes_per_sample: NotNegative | None = None

    @property
    def sent_bytes_per_sample(self) -> float:
        """Bytes of one sample as it is sent: the measured mean where it is coded."""
        coded = self.coded_bytes_per_sample
        return float(self.bytes_per_sample if coded is None else coded)

    @model_validator(mode="after")
    def _derived_fields_agree(self) -> Self:
        spec = self.to_spec()
        if self.batch_axis != spec.batch_axis:
            raise ValueError(f"batch_axis {self.batch_axis} contradicts shape {list(self.shape)}")
        if self.bytes_per_sample != spec.sample_nbytes:
            raise ValueError(f"bytes_per_sample {self.bytes_per_sample} is not {spec.sample_nbytes}")
        if self.coding == "none" and self.coded_bytes_per_sample is not None:
            raise ValueError("coded_bytes_per_sample stands without a coding")
        return self


class WireEntry(Frozen):
    """What one tier sends to the next."""

    from_tier: Tier
    to_tier: Tier
    tensors: tuple[WireTensor, ...] = Field(min_length=1)

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors as specs."""
        return tuple(tensor.to_spec() for tensor in self.tensors)

    @property
    def sample_bytes(self) -> float:
        """Bytes of one sample's tensors as they are sent: after their coding, where they have one."""
        return sum(tensor.sent_bytes_per_sample for tensor in self.tensors)


class LinkEntry(Frozen):
    """A link as it was planned for.

    Attributes:
        bandwidth_bps: bit/s.
        rtt_ms: what a message and its answer take however short they are, ms.
    """

    bandwidth_bps: Annotated[float, Field(gt=0)]
    rtt_ms: NotNegative
