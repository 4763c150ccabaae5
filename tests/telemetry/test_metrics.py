"""Metrics: every event ends up under its name and labels, in the text that Prometheus reads."""

import socket
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from splitnet.errors import ConfigError
from splitnet.telemetry import Exchange, Listeners, RequestEnd, SegmentRun
from splitnet.telemetry.metrics import Metrics, serve_metrics

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
SEGMENT = {"tier": "edge", "segment": "edge", "plan": "abc", "version": "3"}
MODEL = {"tier": "edge", "model": "pcb.edge", "plan": "abc", "version": "3"}
UPSTREAM = {"tier": "edge", "upstream": "cloud:1"}


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics("edge")
    events = Listeners([metrics])
    events.segment_run(SegmentRun("edge", "abc", 3, 5, 2, (0.001, 0.003), 0.002))
    exits, fallbacks = ("edge", "edge", "cloud"), ("", "UNAVAILABLE", "")
    events.request_end(RequestEnd("1f", "pcb.edge", "abc", 3, "OK", 0.02, 3, exits, fallbacks))
    events.request_end(RequestEnd("20", "pcb.edge", "abc", 3, "DEADLINE_EXCEEDED", 0.5, 1, error="late"))
    events.exchange(Exchange("cloud:1", 1000, 100, 0.05, 0.01, 0))
    events.exchange(Exchange("cloud:1", 1000, 100, 0.05, None, 1))
    events.retry("cloud:1")
    events.breaker("cloud:1", "open")
    events.link("cloud:1", up=True)
    events.plan_switch("abc", "def")
    events.queue_depth(7)
    events.cache_hit("edge")
    return metrics


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("splitnet_requests_total", MODEL | {"status": "OK"}, 1),
        ("splitnet_requests_total", MODEL | {"status": "DEADLINE_EXCEEDED"}, 1),
        ("splitnet_request_duration_seconds_sum", MODEL, 0.52),
        (
            "splitnet_answered_samples_total",
            {"tier": "edge", "plan": "abc", "version": "3", "exit": "edge"},
            2,
        ),
        (
            "splitnet_fallbacks_total",
            {"tier": "edge", "plan": "abc", "version": "3", "exit": "edge", "reason": "UNAVAILABLE"},
            1,
        ),
        ("splitnet_queue_duration_seconds_sum", SEGMENT, 0.004),
        ("splitnet_queue_duration_seconds_count", SEGMENT, 2),
        ("splitnet_compute_duration_seconds_sum", SEGMENT, 0.002),
        ("splitnet_batch_samples_sum", SEGMENT, 5),
        ("splitnet_queue_depth", {"tier": "edge"}, 7),
        ("splitnet_link_sent_bytes_total", UPSTREAM, 2000),
        ("splitnet_link_received_bytes_total", UPSTREAM, 200),
        ("splitnet_link_round_trip_seconds_sum", UPSTREAM, 0.09),
        ("splitnet_link_up", UPSTREAM, 1),
        ("splitnet_link_breaker_state", UPSTREAM, 2),
        ("splitnet_link_retries_total", UPSTREAM, 1),
        ("splitnet_plan_switches_total", {"tier": "edge", "before": "abc", "after": "def"}, 1),
        ("splitnet_cache_hits_total", {"tier": "edge"}, 1),
    ],
)
def test_an_event_is_counted(metrics: Metrics, name: str, labels: dict[str, str], value: float) -> None:
    assert metrics.registry.get_sample_value(name, labels) == pytest.approx(value)


def test_what_never_happened_to_an_upstream_is_zero() -> None:
    metrics = Metrics("edge")
    Listeners([metrics]).upstream("cloud:1")
    for name in ("up", "breaker_state", "retries_total", "sent_bytes_total", "received_bytes_total"):
        assert metrics.registry.get_sample_value(f"splitnet_link_{name}", UPSTREAM) == 0
    assert metrics.registry.get_sample_value("splitnet_cache_hits_total", {"tier": "edge"}) == 0


def test_prometheus_reads_them_over_http(metrics: Metrics) -> None:
    with serve_metrics(metrics, ("127.0.0.1", 0)) as (host, port):
        with urllib.request.urlopen(f"http://{host}:{port}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        with pytest.raises(ConfigError, match=rf"cannot offer metrics on 127\.0\.0\.1:{port}"):
            serve_metrics(metrics, ("127.0.0.1", port)).__enter__()
    families = {family.name for family in text_string_to_metric_families(text)}
    assert {"splitnet_requests", "splitnet_queue_depth", "process_resident_memory_bytes"} <= families
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_every_metric_is_documented_with_its_labels(metrics: Metrics) -> None:
    page = PAGE.read_text()
    rows = [line for line in page.splitlines() if line.startswith("| `splitnet_")]
    ours = [family for family in metrics.registry.collect() if family.name.startswith("splitnet_")]
    assert len(ours) == len(rows)
    for family in ours:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        (row,) = [row for row in rows if row.startswith(f"| `{name}`")]
        labels = set(family.samples[0].labels) - {"le"}
        assert all(f"`{label}`" in row for label in labels - {"tier"}), row
