"""The metrics of a tier: their names, labels and buckets (docs/metrics.md is their specification)."""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a segment of 0.1 ms to a request that took its whole default deadline.
_SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_SAMPLES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

_MODEL = ("tier", "model", "plan", "version")
_SEGMENT = ("tier", "segment", "plan", "version")
_UPSTREAM = ("tier", "upstream")


@dataclass(frozen=True, slots=True)
class Families:
    """Every metric of a tier, each a family of series by its labels."""

    requests: Counter
    request_seconds: Histogram
    answered: Counter
    fallbacks: Counter
    queue_seconds: Histogram
    compute_seconds: Histogram
    batch_samples: Histogram
    queue_depth: Gauge
    sent_bytes: Counter
    received_bytes: Counter
    round_trip_seconds: Histogram
    link_up: Gauge
    breaker: Gauge
    retries: Counter
    plan_switches: Counter
    cache_hits: Counter


def make_families(registry: CollectorRegistry) -> Families:
    """Register every metric; prometheus_client adds `_total`, `_bucket`, `_sum` and `_count` to the names."""

    def counter(name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"splitnet_{name}", text, labels, registry=registry)

    def gauge(name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"splitnet_{name}", text, labels, registry=registry)

    def seconds(name: str, text: str, labels: tuple[str, ...]) -> Histogram:
        return Histogram(f"splitnet_{name}", text, labels, registry=registry, buckets=_SECONDS)

    return Families(
        requests=counter("requests", "Requests that ended, by gRPC status", (*_MODEL, "status")),
        request_seconds=seconds("request_duration_seconds", "From a request's arrival to its end", _MODEL),
        answered=counter("answered_samples", "Samples answered, by who did", ("tier", "plan", "version", "exit")),
        fallbacks=counter(
            "fallbacks",
            "Samples that a shallower exit answered, by the status it stands in for",
            ("tier", "plan", "version", "exit", "reason"),
        ),
        queue_seconds=seconds("queue_duration_seconds", "How long a request waited to be computed", _SEGMENT),
        compute_seconds=seconds("compute_duration_seconds", "One run of a segment", _SEGMENT),
        batch_samples=Histogram(
            "splitnet_batch_samples", "Samples of one run", _SEGMENT, registry=registry, buckets=_SAMPLES
        ),
        queue_depth=gauge("queue_depth", "Requests that wait or run", ("tier",)),
        sent_bytes=counter("link_sent_bytes", "Bytes of requests that were answered from above", _UPSTREAM),
        received_bytes=counter("link_received_bytes", "Bytes of those answers", _UPSTREAM),
        round_trip_seconds=seconds(
            "link_round_trip_seconds", "A request's time on the link: less what the tier above took", _UPSTREAM
        ),
        link_up=gauge("link_up", "Whether the connection to the tier above is there", _UPSTREAM),
        breaker=gauge("link_breaker_state", "0 closed, 1 half-open, 2 open: not asked", _UPSTREAM),
        retries=counter("link_retries", "Requests tried again elsewhere", _UPSTREAM),
        plan_switches=counter("plan_switches", "Changes of the plan", ("tier", "before", "after")),
        cache_hits=counter("cache_hits", "Answers given again", ("tier",)),
    )
