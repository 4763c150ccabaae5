"""Which plan is the best at which bandwidth of the link that was swept."""

from dataclasses import dataclass

from splitnet.report.data import Link, Report


@dataclass(frozen=True, slots=True)
class Reign:
    """A plan and the bandwidths (bit/s, the upper one excluded) at which it is the best."""

    low_bps: float
    high_bps: float
    plan_name: str

    def holds(self, bandwidth_bps: float) -> bool:
        """Return whether the plan is the best at this bandwidth."""
        return self.low_bps <= bandwidth_bps < self.high_bps


def reigns(report: Report) -> tuple[Reign, ...]:
    """Return the best plan of every bandwidth swept, ascending and without gaps; () without curves."""
    if not report.curves:
        return ()
    first = min(report.curves, key=lambda curve: curve.latency_ms[0])
    swept = first.bandwidths_bps
    starts = [(swept[0], first.name), *((one.bandwidth_bps, one.plan_name) for one in report.takeovers)]
    ends = [start for start, _ in starts[1:]] + [swept[-1]]
    return tuple(Reign(low, high, name) for (low, name), high in zip(starts, ends, strict=True))


def swept_link(report: Report) -> Link | None:
    """Return the link whose bandwidth the curves vary; None where the report does not describe it."""
    if not report.swept_link:
        return report.links[0] if report.links else None
    return next((link for link in report.links if link.name == report.swept_link), None)
