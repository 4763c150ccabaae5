"""LoadGen's scenarios, put to something whose times and answers are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.bench import SCENARIOS, Load, Report, Tally, run_load
from splitnet.bench.verdict import DETAIL_LOG, read_verdict
from splitnet.errors import InvalidArgumentError, OperatorError, UnavailableError
from tests.bench.systems import LABELS, SAMPLES, Clerk, clerk

SECONDS = 0.3


def put(clerk: Clerk, scenario: str, *, logs: Path | None = None, **options: Any) -> Report:
    options = {"seconds": SECONDS, **options}
    load = Load(scenario, SAMPLES, **options)  # type: ignore[arg-type]  # parametrised
    return run_load(load, clerk.submit, Tally(LABELS, "scores"), limit_s=10.0, logs=logs)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_scenario_reports_what_loadgen_measured(scenario: str) -> None:
    with clerk() as here:
        report = put(here, scenario, target_qps=300.0 if scenario == "server" else None)
    assert (report.scenario, report.mode, report.errors) == (scenario, "performance", 0)
    assert report.answers >= 20
    assert sum(report.exits.values()) == report.answers
    assert report.exits.keys() == {"cloud", "edge"}
    assert report.fallbacks == {"edge": report.exits["edge"]}
    assert report.accuracy == 1.0
    assert report.seconds > 0
    latency = [report.latency_ms[name] for name in ("p50", "p90", "p95", "p99", "p99.9", "max")]
    assert latency[0] >= 1.0
    assert latency == sorted(latency)
    # What was asked is counted once: the queries' samples, and what the warm-up took before.
    per_query = {"multi-stream": 8, "offline": report.answers}.get(scenario, 1)
    assert report.queries * per_query == report.answers < len(here.seen)


def test_single_stream_asks_one_at_a_time_and_is_valid() -> None:
    with clerk(seconds=0.0) as here:  # or a busy machine asks too few for a percentile
        report = put(here, "single-stream", seconds=0.5)
    assert here.most == 1
    assert report.valid
    assert report.invalid_reasons == ()
    assert report.seconds >= 0.5


def test_no_more_is_under_way_than_was_allowed() -> None:
    with clerk() as here:
        report = put(here, "offline", in_flight=3)
    assert here.most == 3
    assert report.answers >= 20


def test_a_server_that_is_too_slow_is_told_so() -> None:
    with clerk(seconds=0.01) as here:
        report = put(here, "server", target_qps=100.0, target_latency_ms=5.0)
    assert report.valid is False
    assert any("took longer than 5 ms" in reason for reason in report.invalid_reasons)


def test_too_few_queries_make_no_percentile() -> None:
    with clerk() as here:
        report = put(here, "server", target_qps=100.0)
    assert report.valid is False
    assert any("too few queries" in reason for reason in report.invalid_reasons)


@pytest.mark.parametrize("how", ["fails", "raises"])
def test_samples_without_an_answer_make_a_run_invalid_and_do_not_stop_it(how: str) -> None:
    with clerk(**{how: frozenset(range(1, SAMPLES, 3))}) as here:
        report = put(here, "multi-stream", seed=1)
    assert report.errors > 0 < report.answers
    assert report.valid is False
    assert "got no answer" in report.invalid_reasons[0]
    assert report.first_error in ("gone meanwhile", "nobody there")


def test_a_target_that_answers_nothing_is_not_measured() -> None:
    with clerk(fails=frozenset(range(SAMPLES))) as here, pytest.raises(UnavailableError, match="gone meanwhile"):
        put(here, "single-stream")


def test_accuracy_asks_for_every_sample_once() -> None:
    with clerk(right=SAMPLES // 2) as here:
        load = Load("offline", SAMPLES, accuracy=True)
        tally = Tally(LABELS, "scores")
        warmed: list[int] = []
        report = run_load(load, here.submit, tally, limit_s=10.0, on_progress=lambda *_: warmed.append(1))
    assert report.mode == "accuracy"
    assert report.valid is None
    assert "valid" not in report.to_json()
    assert report.answers == SAMPLES
    assert sorted(here.seen[-SAMPLES:]) == list(range(SAMPLES))
    # Of the second half those of class 0 are right by chance.
    assert report.accuracy == pytest.approx(0.5 + 0.5 * np.mean(LABELS[SAMPLES // 2 :] == 0))
    assert warmed


def test_a_seed_fixes_the_order_of_samples() -> None:
    orders = []
    for seed in (1, 1, 2):
        with clerk() as here:
            report = put(here, "single-stream", seed=seed)
            orders.append(here.seen[-report.answers :][:10])  # past the warm-up
    assert orders[0] == orders[1] != orders[2]


def test_loadgens_logs_are_kept_where_asked(tmp_path: Path) -> None:
    with clerk() as here:
        put(here, "single-stream", seconds=0.1, logs=tmp_path / "logs")
    assert "result_validity" in (tmp_path / "logs" / DETAIL_LOG).read_text()


def test_a_log_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    load = Load("single-stream", SAMPLES)
    with pytest.raises(OperatorError, match="no log"):
        read_verdict(tmp_path, load)
    for text in ("", ":::MLLOG {", ':::MLLOG {"key": "result_validity", "value": "VALID"}\n'):
        (tmp_path / DETAIL_LOG).write_text(text)
        with pytest.raises(OperatorError, match="no log"):
            read_verdict(tmp_path, load)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"scenario": "burst"}, "scenario 'burst'"),
        ({"scenario": "server"}, "needs a rate"),
        ({"target_qps": 5.0}, "leave it out"),
        ({"target_latency_ms": 5.0}, "only the server"),
        ({"seconds": 0.0}, "seconds 0"),
        ({"in_flight": 0}, "in-flight 0"),
        ({"samples": 0}, "samples 0"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        Load(
            **(
                {"scenario": "offline" if "target_latency_ms" in options else "single-stream", "samples": 4}
                | options
            )
        )
