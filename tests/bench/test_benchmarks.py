"""What the benchmarks share: whether goals are met, rates, and CPU times."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

import pytest

from benchmarks.cpu import cpu_s
from benchmarks.harness import Figure, Options, round_medians, show
from benchmarks.in_flight import rate


@pytest.mark.parametrize(
    ("value", "goal", "best", "met"),
    [
        (0.4, "<= 0.40", None, "yes"),
        (0.41, "<= 0.40", None, "no"),
        (0.41, "<= 0.40", 0.39, "best"),
        (0.41, "<= 0.40", 0.405, "no"),
        (0.9, ">= 0.85", 0.8, "yes"),
        (0.8, ">= 0.85", 0.9, "best"),
        (0.8, "", 0.9, ""),
    ],
)
def test_a_goal_is_met_by_the_median_or_by_the_best_round(
    value: float, goal: str, best: float | None, met: str
) -> None:
    assert Figure("x", value, goal, best).met == met


def test_figures_are_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    show("title", [Figure("x", 0.5, "<= 1.00", best=0.25)], Options(1.0, json_output=True))
    (said,) = json.loads(capsys.readouterr().out)
    assert said == {"name": "x", "value": 0.5, "goal": "<= 1.00", "best": 0.25, "met": "yes"}


def test_rounds_have_medians() -> None:
    assert round_medians([1, 2, 9, 4, 5, 6], 3) == [2, 5]


def test_a_rate_counts_requests_that_overlap() -> None:
    with ThreadPoolExecutor(4) as pool:
        found = rate(lambda: pool.submit(partial(time.sleep, 0.05)), in_flight=4, seconds=1.0)
    assert 25 < found <= 90  # four at a time, 50 ms each; one at a time would be 20; a busy machine is slower


def test_a_request_that_fails_ends_the_measurement() -> None:
    def start() -> "Future[None]":
        future: Future[None] = Future()
        future.set_exception(ValueError("broken"))
        return future

    with pytest.raises(AssertionError, match="broken"):
        rate(start, in_flight=2, seconds=0.01)


def test_cpu_time_includes_children() -> None:
    before_s = cpu_s(os.getpid())
    burn = "import time\nwhile time.process_time() < 0.3: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert cpu_s(os.getpid()) - before_s >= 0.25
        child.communicate("\n", timeout=10)
