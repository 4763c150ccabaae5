"""Verdict: what LoadGen says of a run, read from the log that it writes for programs."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from splitnet.bench.load import Load
from splitnet.errors import OperatorError

#: LoadGen's log of one JSON object a line, behind a mark.
DETAIL_LOG = "mlperf_log_detail.txt"
_MARK = ":::MLLOG "

#: The percentiles that it reports, by the names that we give them.
PERCENTILES = {"p50": "50.00", "p90": "90.00", "p95": "95.00", "p99": "99.00", "p99.9": "99.90"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """LoadGen's own figures.

    Attributes:
        version: of LoadGen.
        valid: whether it takes the run for valid; None for one that only looks at accuracy.
        reasons: why not; empty where it is valid.
        queries: how many it made.
        latency_ms: milliseconds by percentile, and "max"; of samples, in "multi-stream" of whole queries.
    """

    version: str
    valid: bool | None
    reasons: tuple[str, ...]
    queries: int
    latency_ms: dict[str, float]


def read_verdict(folder: Path, load: Load) -> Verdict:
    """Read the log in `folder`.

    Raises:
        OperatorError: it is missing, or another form of log.
    """
    path = folder / DETAIL_LOG
    try:
        said = dict(_entries(path.read_text(encoding="utf-8", errors="replace")))
        if load.accuracy:
            return Verdict(_version(said), None, (), 0, {})
        valid = said["result_validity"] == "VALID"
        return Verdict(
            _version(said),
            valid,
            () if valid else tuple(_reasons(said, load)),
            int(said["result_query_count"]),
            _latency_ms(said, load),
        )
    except (OSError, ValueError, KeyError) as err:
        raise OperatorError(f"{path}: LoadGen left no log that can be read: {err!r}") from err


def _entries(text: str) -> Iterator[tuple[str, Any]]:
    for line in text.splitlines():
        if line.startswith(_MARK):
            entry = json.loads(line.removeprefix(_MARK))
            yield entry["key"], entry["value"]


def _version(said: dict[str, Any]) -> str:
    return str(said["loadgen_version"]).partition(" ")[0]


def _reasons(said: dict[str, Any], load: Load) -> Iterator[str]:
    if said.get("result_perf_constraints_met") is False:
        yield (
            f"{said['result_overlatency_query_count']} of {said['result_query_count']} queries took longer than "
            f"{load.latency_limit_ms:g} ms; 1 % may"
        )
    if said.get("result_min_duration_met") is False:
        yield f"it was shorter than {load.seconds:g} s"
    if said.get("result_min_queries_met") is False:
        yield f"{said['result_query_count']} queries are fewer than {said['effective_min_query_count']}"
    if said.get("early_stopping_met") is False:
        yield _too_few(str(said["early_stopping_result"]))
    if hint := str(said.get("result_invalid_reason", "")).strip():
        yield f"LoadGen says: {hint}"


def _too_few(text: str) -> str:
    """Say in a sentence what LoadGen says of a percentile that cannot be vouched for yet."""
    if found := re.search(r"at least (\d+ more|\d+) queries", text):
        return f"too few queries to vouch for its percentile, {found[1]} are needed: take longer (--seconds)"
    return f"LoadGen says: {' '.join(text.split())}"


def _latency_ms(said: dict[str, Any], load: Load) -> dict[str, float]:
    whole = load.scenario == "multi-stream"
    middle = "per_query_latency_ns" if whole else "latency_ns"
    keys = {name: f"result_{number}_percentile_{middle}" for name, number in PERCENTILES.items()}
    keys["max"] = "result_max_query_latency_ns" if whole else "result_max_latency_ns"
    return {name: int(said[key]) / 1e6 for name, key in keys.items()}
