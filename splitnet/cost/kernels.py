"""Reading the file that onnxruntime's profiler writes: kernel times of each node, run by run."""

import json
from bisect import bisect_right
from pathlib import Path
from typing import Any, NamedTuple

from splitnet.errors import ModelError

_SUFFIX = "_kernel_time"


class _Span(NamedTuple):
    """When something began and how long it took, in µs; the name of a node, or None for a whole run."""

    node: str | None
    start_us: int
    length_us: int


def read_runs(path: Path) -> list[dict[str, int]]:
    """Return for each run, oldest first, the µs of each node that ran, in the order in which they began.

    Nodes inside the body of an If, Loop or Scan are left out: their time is within that of the outer node.

    Raises:
        ModelError: the file is not what onnxruntime 1.20 to 1.31 writes.
    """
    try:
        with path.open(encoding="utf-8") as file:
            spans = [one for one in json.load(file, object_hook=_span) if one is not None]
    except (ValueError, KeyError, TypeError) as err:
        raise ModelError(f"{path.name}: onnxruntime's profile cannot be read: {err}") from err
    starts = sorted(one.start_us for one in spans if one.node is None)
    runs: list[dict[str, int]] = [{} for _ in starts]
    outer_end_us = 0
    for node, start_us, length_us in sorted(spans, key=lambda one: (one.start_us, -one.length_us)):
        index = bisect_right(starts, start_us) - 1
        if node is None or index < 0 or start_us < outer_end_us:
            continue
        runs[index][node] = length_us
        outer_end_us = start_us + length_us
    return runs


def _span(event: dict[str, Any]) -> _Span | None:
    """Keep the two kinds of event that matter; all else, nested arguments too, is dropped while reading."""
    kind, name = event.get("cat"), event.get("name", "")
    if kind == "Node" and name.endswith(_SUFFIX):
        return _Span(name.removesuffix(_SUFFIX), event["ts"], event["dur"])
    if kind == "Session" and name == "model_run":
        return _Span(None, event["ts"], event["dur"])
    return None
