"""Load: what LoadGen is asked to put on a system, and for how long."""

from dataclasses import dataclass
from typing import Literal, get_args

from splitnet.errors import InvalidArgumentError

#: How queries come: one at a time; several samples at a time; by chance at a mean rate; all at once.
Scenario = Literal["single-stream", "multi-stream", "server", "offline"]
SCENARIOS: tuple[Scenario, ...] = get_args(Scenario)

_DEFAULT_TARGET_LATENCY_MS = 100.0


@dataclass(frozen=True, slots=True)
class Load:
    """One run.

    Attributes:
        scenario: how queries come.
        samples: how many there are to draw from.
        seconds: how long queries come, at least; an offline run has as many samples as take that long.
        target_qps: of "server", the mean rate of queries a second, which it needs; of "offline", the rate that the
            number of samples is computed from, measured beforehand where it is None.
        target_latency_ms: of "server", what 99 % of the queries must not exceed, milliseconds; None is 100.
        streams: of "multi-stream", samples a query.
        in_flight: most samples under way at a time; LoadGen waits beyond, and counts the wait.
        accuracy: ask for every sample once, whatever time that takes, instead of measuring times.
        seed: of the samples' order and the queries' times.

    Raises:
        InvalidArgumentError: a field is out of range, or means nothing in this scenario.
    """

    scenario: Scenario
    samples: int
    seconds: float = 60.0
    target_qps: float | None = None
    target_latency_ms: float | None = None
    streams: int = 8
    in_flight: int = 64
    accuracy: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.scenario not in SCENARIOS:
            raise InvalidArgumentError(f"scenario {self.scenario!r}: expected one of {', '.join(SCENARIOS)}")
        ranges: tuple[tuple[str, float | None, float, float], ...] = (
            ("samples", self.samples, 1, 10_000_000),
            ("seconds", self.seconds, 0.1, 86_400),
            ("target-qps", self.target_qps, 0.01, 1_000_000),
            ("target-latency-ms", self.target_latency_ms, 0.01, 3_600_000),
            ("streams", self.streams, 1, 65_536),
            ("in-flight", self.in_flight, 1, 65_536),
            ("seed", self.seed, 0, 2**63 - 1),
        )
        for name, value, lowest, highest in ranges:
            if value is not None and not lowest <= value <= highest:
                raise InvalidArgumentError(f"{name} {value:g}: expected {lowest:g} to {highest:g}")
        self._check_targets()

    def _check_targets(self) -> None:
        if self.scenario == "server" and self.target_qps is None and not self.accuracy:
            raise InvalidArgumentError("the server scenario needs a rate: give --target-qps, queries a second")
        if self.target_qps is not None and self.scenario not in ("server", "offline"):
            raise InvalidArgumentError(
                f"--target-qps: the {self.scenario} scenario asks as fast as answers come; leave it out"
            )
        if self.target_latency_ms is not None and self.scenario != "server":
            raise InvalidArgumentError("--target-latency-ms: only the server scenario has a limit; leave it out")

    @property
    def latency_limit_ms(self) -> float:
        """What 99 % of the queries of "server" must not exceed, milliseconds."""
        return _DEFAULT_TARGET_LATENCY_MS if self.target_latency_ms is None else self.target_latency_ms
