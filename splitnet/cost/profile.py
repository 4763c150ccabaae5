"""What a model costs on this machine: the whole, and the share of each node."""

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from splitnet.cost.attribution import NodeTensors, attribute
from splitnet.cost.kernels import read_runs
from splitnet.cost.timing import MIN_RUNS, check_seconds, run_ms
from splitnet.onnx_session import OnnxModel, OnnxSession, Optimisation
from splitnet.tensors import Tensors

#: More profiled runs add nothing to a median, and 700 bytes of JSON a node and run.
_MAX_PROFILED_RUNS = 30
# Share of the time for what is measured at basic optimisation, which only divides what was fused.
_BASIC_SHARE = 0.2


@dataclass(frozen=True, slots=True)
class Profile:
    """What one sample costs on one thread of this machine, and where.

    Attributes:
        node_ms: time of each node in ms; the sum is `whole_ms`.
        whole_ms: median time in ms of the whole model with all optimisations.
        basic_ms: sum in ms of the kernels' times at basic optimisation.
        runs: how many runs `whole_ms` is the median of.
    """

    node_ms: Mapping[str, float]
    whole_ms: float
    basic_ms: float
    runs: int


def profile_model(
    model: OnnxModel,
    feeds: Tensors,
    *,
    nodes: Mapping[str, NodeTensors],
    seconds: float = 2.0,
    on_progress: Callable[[float], None] | None = None,
) -> Profile:
    """Measure a model for about `seconds` of computing (longer where three runs of each kind take longer).

    The times of kernels at full optimisation are given to the nodes that they are called after. Where several
    nodes share a kernel it is divided as their times at basic optimisation are (see `attribute`), and all are
    scaled to the whole, measured without the profiler. benchmarks/segment_prediction.py holds sums over segments
    against the segments themselves.

    Args:
        model: the ONNX file; external data need its path, or the folder that they are in.
        feeds: one sample of every input.
        nodes: the model's, in topological order, by name; `Profile.node_ms` has exactly these.
        seconds: how long to compute; on a machine that is busy with other things it takes longer.
        on_progress: called with the share of the time that has passed, 0.0 to 1.0.

    Raises:
        ModelError: onnxruntime does not take the model, or it fails.
        InvalidArgumentError: the feeds do not fit the model, or `seconds` is not above zero.
    """
    check_seconds(seconds)
    tell = on_progress or _ignore
    with tempfile.TemporaryDirectory(prefix="splitnet-profile-") as folder:
        basic = _Profiled(model, feeds, Path(folder), "basic")
        basic_us = basic.times_us(_Clock(seconds * _BASIC_SHARE, lambda share: tell(_BASIC_SHARE * share)))
        del basic  # its weights, before those of the next two are loaded
        clock = _Clock(seconds * (1 - _BASIC_SHARE), lambda share: tell(_BASIC_SHARE + (1 - _BASIC_SHARE) * share))
        whole = OnnxSession(model, name=_name(model))
        run_ms(whole, feeds)  # to warm up
        times: list[float] = []
        full_us = _Profiled(model, feeds, Path(folder), "all").times_us(
            clock, lambda: times.append(run_ms(whole, feeds))
        )
    whole_ms = median(times)
    shares = _scaled(attribute(full_us, basic_us, nodes), whole_ms)
    return Profile(shares, whole_ms, sum(basic_us.values()) / 1e3, len(times))


def _ignore(_share: float) -> None:
    """Take no notice of progress."""


def _name(model: OnnxModel) -> str:
    return f"model ({model})" if isinstance(model, Path) else "the model"


class _Clock:
    """How much of a span of computing has passed: of this thread's time, not the wall's.

    So a busy machine measures for longer, but not less.
    """

    def __init__(self, seconds: float, tell: Callable[[float], None]) -> None:
        self._seconds = seconds
        self._tell = tell
        self._start = time.thread_time()
        tell(0.0)

    def share(self) -> float:
        share = min((time.thread_time() - self._start) / self._seconds, 1.0)
        self._tell(share)
        return share


class _Profiled:
    """A session that onnxruntime's profiler looks at."""

    def __init__(self, model: OnnxModel, feeds: Tensors, folder: Path, optimisation: Optimisation) -> None:
        prefix = folder / optimisation
        self._session = OnnxSession(model, name=_name(model), optimisation=optimisation, profile_prefix=prefix)
        self._feeds = feeds

    def times_us(self, clock: _Clock, between: Callable[[], None] = lambda: None) -> dict[str, float]:
        """Run until the time is over, and return what each kernel took, µs, in order of execution.

        The profiled runs are few, so they are spread over the whole time.

        Args:
            clock: says when it is over.
            between: what to do all the time, with the runs spread in between, so that what else the machine does
                falls on both.
        """
        run_ms(self._session, self._feeds)  # to warm up
        runs, share = 0, 0.0
        while share < 1 or runs < MIN_RUNS:
            between()
            if runs < max(MIN_RUNS, share * _MAX_PROFILED_RUNS):
                run_ms(self._session, self._feeds)
                runs += 1
            share = clock.share()
        return _shortest(read_runs(self._session.end_profiling())[1:])


def _shortest(runs: list[dict[str, int]]) -> dict[str, float]:
    """The least µs of each kernel over the runs, in order of execution; 0 in a run where it was not seen.

    The profiler's clock goes on while another program has the core: 4 ms at a time, on top of kernels of 2 ms.
    """
    names = dict.fromkeys(name for run in runs for name in run)
    return {name: float(min(run.get(name, 0) for run in runs)) for name in names}


def _scaled(node_us: Mapping[str, float], whole_ms: float) -> dict[str, float]:
    """Scale to a sum of `whole_ms`; where every node took less than the profiler's 1 µs, all count the same."""
    total = sum(node_us.values())
    if total == 0:
        return dict.fromkeys(node_us, whole_ms / max(len(node_us), 1))
    return {name: whole_ms * spent_us / total for name, spent_us in node_us.items()}
