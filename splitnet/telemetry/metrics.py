"""Events counted for Prometheus, and the HTTP port where it reads them."""

from collections import Counter as Tally
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, start_http_server

from splitnet.config import format_address
from splitnet.errors import ConfigError
from splitnet.telemetry.events import BreakerState, Events, Exchange, RequestEnd, SegmentRun
from splitnet.telemetry.families import make_families

_BREAKER: dict[BreakerState, int] = {"closed": 0, "half-open": 1, "open": 2}

# How long the port's thread may take to end.
_CLOSE_S = 2.0


class Metrics(Events):
    """Counts what happens on one tier; thread-safe, as prometheus_client is.

    Attributes:
        registry: holds the metrics, and those of the process.
    """

    def __init__(self, tier: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._tier = tier
        self._families = make_families(self.registry)
        self._families.cache_hits.labels(tier)

    def segment_run(self, run: SegmentRun) -> None:
        """Count a run of a segment, and how long its requests had waited."""
        labels = (self._tier, run.segment, run.plan, str(run.version))
        self._families.compute_seconds.labels(*labels).observe(run.compute_s)
        self._families.batch_samples.labels(*labels).observe(run.samples)
        waited = self._families.queue_seconds.labels(*labels)
        for seconds in run.queue_s:
            waited.observe(seconds)

    def request_end(self, end: RequestEnd) -> None:
        """Count a request's end, and who answered its samples."""
        version = str(end.version)
        labels = (self._tier, end.model, end.plan, version)
        self._families.requests.labels(*labels, end.status).inc()
        self._families.request_seconds.labels(*labels).observe(end.seconds)
        for tier, samples in Tally(end.exits).items():
            self._families.answered.labels(self._tier, end.plan, version, tier).inc(samples)
        for (tier, reason), samples in Tally(zip(end.exits, end.fallbacks, strict=False)).items():
            if reason:
                self._families.fallbacks.labels(self._tier, end.plan, version, tier, reason).inc(samples)

    def exchange(self, exchange: Exchange) -> None:
        """Count an answer of the tier above, and what the link took of its time."""
        labels = (self._tier, exchange.upstream)
        self._families.sent_bytes.labels(*labels).inc(exchange.sent_bytes)
        self._families.received_bytes.labels(*labels).inc(exchange.received_bytes)
        on_the_way_s = exchange.seconds - (exchange.remote_s or 0.0)
        self._families.round_trip_seconds.labels(*labels).observe(max(0.0, on_the_way_s))

    def upstream(self, upstream: str) -> None:
        """Begin the series of a tier above: what never happened to it is 0, not missing."""
        labels = (self._tier, upstream)
        self._families.link_up.labels(*labels).set(0)
        self._families.breaker.labels(*labels).set(_BREAKER["closed"])
        for counted in (self._families.retries, self._families.sent_bytes, self._families.received_bytes):
            counted.labels(*labels)

    def retry(self, upstream: str) -> None:
        """Count a request that is tried again."""
        self._families.retries.labels(self._tier, upstream).inc()

    def breaker(self, upstream: str, state: BreakerState) -> None:
        """Keep the state of a breaker."""
        self._families.breaker.labels(self._tier, upstream).set(_BREAKER[state])

    def link(self, upstream: str, *, up: bool) -> None:
        """Keep whether a link is there."""
        self._families.link_up.labels(self._tier, upstream).set(up)

    def plan_switch(self, before: str, after: str) -> None:
        """Count a change of the plan."""
        self._families.plan_switches.labels(self._tier, before, after).inc()

    def queue_depth(self, waiting: int) -> None:
        """Keep how many requests wait or run."""
        self._families.queue_depth.labels(self._tier).set(waiting)

    def cache_hit(self, tier: str) -> None:
        """Count an answer that was given again."""
        self._families.cache_hits.labels(tier).inc()


@contextmanager
def serve_metrics(metrics: Metrics, address: tuple[str, int]) -> Iterator[tuple[str, int]]:
    """Answer Prometheus at `http://HOST:PORT/metrics` until the block is left; yields the address as bound.

    Raises:
        ConfigError: the address cannot be bound.
    """
    host, port = address
    try:
        server, thread = start_http_server(port, addr=host, registry=metrics.registry)
    except (OSError, UnicodeError) as err:  # UnicodeError: no host could have that name
        reason = getattr(err, "strerror", None) or err
        raise ConfigError(f"cannot offer metrics on {format_address(address)}: {reason}") from err
    try:
        yield host, server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=_CLOSE_S)
