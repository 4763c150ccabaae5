"""A link between two tiers: as the deployment file describes it, and as the planner counts with it."""

from pathlib import Path
from typing import Self

from pydantic import model_validator

from splitnet.config import Frozen
from splitnet.cost.entries import NotNegative, Positive, Rate
from splitnet.cost.traces import Trace, check_share, read_trace


class Link(Frozen):
    """A link between two tiers.

    Attributes:
        bandwidth_bps: bits a second, each way; of a trace its harmonic mean.
        delay_ms: one-way delay in ms.
        jitter_ms: how much the one-way delay varies, in ms.
        energy_mj_per_byte: what sending a byte costs, at both ends, in mJ; None: not known.
        trace: the bandwidth over time, where that was recorded.
    """

    bandwidth_bps: Positive
    delay_ms: NotNegative
    jitter_ms: NotNegative = 0.0
    energy_mj_per_byte: NotNegative | None = None
    trace: Trace | None = None

    def quantile_bps(self, q: float) -> float:
        """Return the bandwidth that the link is at or below for a share `q` of the time, bits a second.

        Raises:
            InvalidArgumentError: `q` is not from 0 to 1.
        """
        check_share(q)
        return self.bandwidth_bps if self.trace is None else self.trace.quantile_bps(q)


class LinkEntry(Frozen):
    """A `[link.*]` section; docs/site.md says what the keys mean."""

    bandwidth: Rate | None = None
    trace: str | None = None
    trace_s: Positive | None = None
    delay_ms: NotNegative | None = None
    rtt_ms: NotNegative | None = None
    jitter_ms: NotNegative = 0.0
    energy_mj_per_byte: NotNegative | None = None

    @model_validator(mode="after")
    def _says_each_thing_once(self) -> Self:
        if (self.bandwidth is None) == (self.trace is None):
            raise ValueError("expected either bandwidth or trace")
        if self.trace_s is not None and self.trace is None:
            raise ValueError("trace_s is the length of a trace, and there is no trace")
        if (self.delay_ms is None) == (self.rtt_ms is None):
            raise ValueError("expected either delay_ms, one way, or rtt_ms, both ways")
        return self

    def link(self, folder: Path) -> Link:
        """Return the link; its trace is read from a file relative to `folder`.

        Raises:
            NotFoundError: there is no such file.
            ConfigError: the trace cannot be read.
        """
        trace = read_trace(folder / self.trace, length_s=self.trace_s) if self.trace is not None else None
        bandwidth_bps = self.bandwidth if trace is None else trace.mean_bps
        delay_ms = self.delay_ms if self.rtt_ms is None else self.rtt_ms / 2
        assert bandwidth_bps is not None
        assert delay_ms is not None
        return Link(
            bandwidth_bps=bandwidth_bps,
            delay_ms=delay_ms,
            jitter_ms=self.jitter_ms,
            energy_mj_per_byte=self.energy_mj_per_byte,
            trace=trace,
        )
