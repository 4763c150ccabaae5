"""The log: a JSON object a line, with the request's id; a line for people with the same."""

import json
import logging
import subprocess
import sys

import pytest

from splitnet.telemetry import RequestEnd, RequestLog, log_standing
from splitnet.telemetry.logs import JsonFormatter, TextFormatter

END = RequestEnd("00ff", "pcb.edge", "abc", 2, "OK", 0.0125, 2, ("edge", "cloud"), ("", "UNAVAILABLE"))


def records(caplog: pytest.LogCaptureFixture, end: RequestEnd) -> list[logging.LogRecord]:
    with caplog.at_level(logging.INFO):
        RequestLog().request_end(end)
    return caplog.records


def test_a_request_is_one_json_object(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = records(caplog, END)
    line = JsonFormatter().format(record)
    assert "\n" not in line
    said = json.loads(line)
    assert said.pop("time").endswith("+00:00")
    assert said == {
        "level": "INFO",
        "logger": "splitnet.telemetry.logs",
        "message": "pcb.edge OK in 12.5 ms",
        "request_id": "00ff",
        "model": "pcb.edge",
        "plan": "abc",
        "version": 2,
        "status": "OK",
        "milliseconds": 12.5,
        "samples": 2,
        "exits": {"edge": 1, "cloud": 1},
        "fallbacks": {"UNAVAILABLE": 1},
    }


def test_people_see_the_request_too(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = records(caplog, END)
    assert TextFormatter().format(record).endswith("pcb.edge OK in 12.5 ms [00ff]")


def test_each_request_of_a_message_leads_to_its_id(caplog: pytest.LogCaptureFixture) -> None:
    ids = [f"{number:016x}" for number in range(150)] + ["a" * 10_000]
    with caplog.at_level(logging.WARNING):
        log_standing("up", ids)
    assert not caplog.records
    with caplog.at_level(logging.INFO):
        log_standing("up", ids)
    lines = [JsonFormatter().format(record) for record in caplog.records]
    said = [json.loads(line) for line in lines]
    assert {each["request_id"] for each in said} == {"up"}
    assert [each for line in said for each in line["stands_for"]] == [*ids[:-1], "a" * 80]
    assert max(map(len, lines)) < 5_000


def test_a_fault_of_ours_is_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = records(caplog, RequestEnd("1", "pcb", "", 0, "INTERNAL", 0.1, error="it broke"))
    assert record.levelno == logging.WARNING
    assert json.loads(JsonFormatter().format(record))["reason"] == "it broke"


def test_a_traceback_stays_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    try:
        raise ValueError("deep")
    except ValueError:
        logging.getLogger("somewhere").exception("it %s", "failed")
    line = JsonFormatter().format(caplog.records[0])
    assert "\n" not in line
    assert "ValueError: deep" in json.loads(line)["error"]


@pytest.mark.parametrize(("log_format", "is_json"), [("json", True), ("text", False)])
def test_logging_starts_on_standard_error(log_format: str, *, is_json: bool) -> None:
    code = (
        "import logging; from splitnet.telemetry import start_logging\n"
        f"start_logging(verbose=False, log_format={log_format!r})\n"
        "logging.getLogger('a').info('quiet'); logging.getLogger('a').warning('loud')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "loud" in line
    assert line.startswith("{") == is_json


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_what_callers_choose_forges_no_line_and_fills_no_disk(
    caplog: pytest.LogCaptureFixture, formatter: logging.Formatter
) -> None:
    hostile = "a]\n2026-01-01 ERROR splitnet: all keys are lost\x1b[31m" + "x" * 10**6
    end = RequestEnd(hostile, "pcb", "", 0, "NOT_FOUND", 0.1, error=hostile)
    (record,) = records(caplog, end)
    line = formatter.format(record)
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < 2_000
