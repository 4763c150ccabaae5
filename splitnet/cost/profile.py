"""What a model costs on this machine: the whole, and the share of each node."""

import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from splitnet.cost.kernels import read_runs
from splitnet.cost.timing import MIN_RUNS, check_seconds, run_ms
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import Tensors

#: More profiled runs add nothing to a median, and 700 bytes of JSON a node and run.
_MAX_PROFILED_RUNS = 30


@dataclass(frozen=True, slots=True)
class Profile:
    """What one sample costs on one thread of this machine, and where.

    Attributes:
        node_ms: time of each node in ms; the sum is `whole_ms`. A node that is not in it took no time.
        whole_ms: median time in ms of the whole model with all optimisations.
        basic_ms: sum in ms of the nodes' times as measured, at basic optimisation, before they were scaled.
        runs: how many runs `whole_ms` is the median of.
    """

    node_ms: Mapping[str, float]
    whole_ms: float
    basic_ms: float
    runs: int


def profile_model(
    model: bytes | Path,
    feeds: Tensors,
    *,
    seconds: float = 2.0,
    nodes: Collection[str] | None = None,
    on_progress: Callable[[float], None] | None = None,
) -> Profile:
    """Measure a model for about `seconds` (longer where three runs take longer).

    At full optimisation nodes are fused and tensors renamed, so the shares are measured at basic optimisation and
    scaled to the whole at full optimisation: 2-5 % off for the heads of the models tried, where the unscaled
    figures were up to 99 % off.

    onnxruntime rewrites some nodes even at basic optimisation: MatMul and Add become a Gemm named after the
    MatMul, and a function operator such as HardSwish becomes nodes of other names. With `nodes` their time is
    given to the node they are named after, or else to the one that ran just before.

    Args:
        model: ONNX bytes, or a file (which external data needs).
        feeds: one sample of every input.
        seconds: how long to measure.
        nodes: the names of the model's nodes; `Profile.node_ms` then has exactly these.
        on_progress: called with the share of the time that has passed, 0.0 to 1.0.

    Raises:
        ModelError: onnxruntime does not take the model, or it fails.
        InvalidArgumentError: the feeds do not fit the model, or `seconds` is not above zero.
    """
    check_seconds(seconds)
    name = f"model ({len(model)} bytes)" if isinstance(model, bytes) else f"model ({model})"
    whole = OnnxSession(model, name=name)
    with tempfile.TemporaryDirectory(prefix="splitnet-profile-") as folder:
        basic = OnnxSession(model, name=name, optimisation="basic", profile_prefix=Path(folder) / "run")
        times = _interleaved(whole, basic, feeds, seconds, on_progress or _ignore)
        node_us = _medians(read_runs(basic.end_profiling())[1:])  # without the run to warm up
    whole_ms = median(times)
    shares = _scaled(node_us if nodes is None else _attributed(node_us, nodes), whole_ms)
    return Profile(shares, whole_ms, sum(node_us.values()) / 1e3, len(times))


def _ignore(_share: float) -> None:
    """Take no notice of progress."""


def _interleaved(
    whole: OnnxSession,
    basic: OnnxSession,
    feeds: Tensors,
    seconds: float,
    on_progress: Callable[[float], None],
) -> list[float]:
    """Run both in turn, so that what else the machine does falls on both; return the times of `whole` in ms.

    The first run of each does not count. The profiled runs are few, so they are spread over the whole time.
    """
    for session in (whole, basic):
        run_ms(session, feeds)
    whole_times: list[float] = []
    start, share, profiled = time.perf_counter(), 0.0, 0
    while share < 1 or profiled < MIN_RUNS:
        whole_times.append(run_ms(whole, feeds))
        if profiled < max(MIN_RUNS, share * _MAX_PROFILED_RUNS):
            on_progress(share)
            run_ms(basic, feeds)
            profiled += 1
        share = min((time.perf_counter() - start) / seconds, 1.0)
    on_progress(1.0)
    return whole_times


def _medians(runs: list[dict[str, int]]) -> dict[str, float]:
    """The median of each node's µs over the runs, in order of execution; 0 in a run where it was not seen."""
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: median(run.get(name, 0) for run in runs) for name in names}


def _attributed(node_us: Mapping[str, float], nodes: Collection[str]) -> dict[str, float]:
    """Give the time of nodes that onnxruntime made to those of the model.

    A fused node is called after one of its parts with "/" and the fusion's name behind it.
    """
    attributed = dict.fromkeys(nodes, 0.0)
    before = next((name for name in node_us if name in attributed), next(iter(attributed), None))
    for name, spent_us in node_us.items():
        origin = name
        while origin and origin not in attributed:
            origin = origin.rpartition("/")[0]
        before = origin if origin in attributed else before
        if before is not None:
            attributed[before] += spent_us
    return attributed


def _scaled(node_us: Mapping[str, float], whole_ms: float) -> dict[str, float]:
    """Scale to a sum of `whole_ms`; where every node took less than the profiler's 1 µs, all count the same."""
    total = sum(node_us.values())
    if total == 0:
        return dict.fromkeys(node_us, whole_ms / max(len(node_us), 1))
    return {name: whole_ms * spent_us / total for name, spent_us in node_us.items()}
