"""A run: MLPerf's LoadGen on a thread of its own, what it asks for put to a system, its log read at the end."""

import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from splitnet.bench.load import Load, Scenario
from splitnet.bench.pace import Pace, measure_pace
from splitnet.bench.report import Report, summarise
from splitnet.bench.system import Query, Submit, System
from splitnet.bench.tally import Tally
from splitnet.bench.verdict import read_verdict
from splitnet.errors import ConfigError

_SCENARIOS: dict[Scenario, str] = {
    "single-stream": "SingleStream",
    "multi-stream": "MultiStream",
    "server": "Server",
    "offline": "Offline",
}
_TICK_S = 0.1
# How much faster than in the warm-up answers may come before LoadGen runs out of the queries that it has prepared;
# it doubles that itself. A million of them take 310 MB and 1 s.
_FASTER = 2.0
_MOST_PREPARED = 2_000_000
# Likewise for the samples of an offline run, to which LoadGen adds a tenth.
_MORE = 1.2

#: Told ten times a second what share of the run is done and how many samples have ended.
OnProgress = Callable[[float, int], None]


def check_loadgen() -> None:
    """See that LoadGen is installed.

    Raises:
        ConfigError: it is not.
    """
    try:
        import mlperf_loadgen  # noqa: F401, PLC0415  (an extra of its own)
    except ImportError as err:
        raise ConfigError(
            "a benchmark needs MLPerf's LoadGen: install SplitNet with the extra, splitnet[bench]"
        ) from err


def run_load(
    load: Load,
    submit: Submit,
    tally: Tally,
    *,
    limit_s: float,
    logs: Path | None = None,
    on_progress: OnProgress = lambda _share, _ended: None,
) -> Report:
    """Warm the system up, put the load on it and report.

    LoadGen cannot be stopped. Where KeyboardInterrupt or any other exception leaves here once it has begun, no
    more samples are sent, its thread waits for the end of the process, and the process must end by `os._exit`:
    LoadGen's own clean-up at exit would abort it.

    Args:
        load: what is asked for.
        submit: starts the request for one sample.
        tally: counts what comes back.
        limit_s: the longest that nothing may end while samples are under way, seconds.
        logs: directory for LoadGen's logs; None keeps none.
        on_progress: called on this thread.

    Raises:
        ConfigError: LoadGen is not installed, or the logs cannot be written.
        DeadlineExceededError: a request did not end.
        SplitNetError: the first sample of the warm-up gets no answer.
    """
    check_loadgen()
    pace = measure_pace(submit, load)
    with ExitStack() as stack:
        folder = _folder(logs, stack)
        system = System(submit, load.in_flight, tally, _tell)
        thread = threading.Thread(target=_test, args=(load, pace, system, folder), name="loadgen", daemon=True)
        thread.start()
        try:
            ticks = 0
            while thread.is_alive():
                thread.join(_TICK_S)
                ticks += 1
                on_progress(_share(load, ticks, tally, system), tally.ended)
                system.check_moving(limit_s)
        except BaseException:
            system.stop()
            raise
        return summarise(load, tally, read_verdict(folder, load))


def _folder(logs: Path | None, stack: ExitStack) -> Path:
    if logs is None:
        return Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="splitnet-bench-")))
    try:
        logs.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise ConfigError(f"{logs}: cannot be made a directory for logs: {err.strerror}") from err
    return logs


def _share(load: Load, ticks: int, tally: Tally, system: System) -> float:
    if load.accuracy:
        return tally.ended / load.samples
    if load.scenario == "offline":
        return tally.ended / max(1, system.largest_query)
    return min(1.0, ticks * _TICK_S / load.seconds)


def _tell(query: Query) -> None:
    import mlperf_loadgen as lg  # noqa: PLC0415

    lg.QuerySamplesComplete([lg.QuerySampleResponse(query.id, 0, 0)])


def _test(load: Load, pace: Pace, system: System, folder: Path) -> None:
    import mlperf_loadgen as lg  # noqa: PLC0415

    def nothing(_samples: list[int]) -> None:
        """All samples are in memory already."""

    sut = lg.ConstructSUT(system.issue, lambda: None)
    library = lg.ConstructQSL(load.samples, load.samples, nothing, nothing)
    lg.StartTestWithLogSettings(sut, library, _settings(lg, load, pace), _log_settings(lg, folder), "")
    lg.DestroyQSL(library)
    lg.DestroySUT(sut)


def _settings(lg: Any, load: Load, pace: Pace) -> Any:  # noqa: ANN401  (the library has no types)
    settings = lg.TestSettings()
    settings.scenario = getattr(lg.TestScenario, _SCENARIOS[load.scenario])
    settings.mode = lg.TestMode.AccuracyOnly if load.accuracy else lg.TestMode.PerformanceOnly
    settings.min_duration_ms = round(load.seconds * 1e3)
    expected_ns = round(max(pace.latency_s / _FASTER, 2 * load.seconds / _MOST_PREPARED) * 1e9)
    settings.single_stream_expected_latency_ns = expected_ns
    settings.multi_stream_expected_latency_ns = expected_ns
    settings.multi_stream_samples_per_query = load.streams
    settings.server_target_latency_ns = round(load.latency_limit_ms * 1e6)
    if load.target_qps is not None:
        settings.server_target_qps = settings.offline_expected_qps = load.target_qps
    elif pace.rate is not None:
        settings.offline_expected_qps = _MORE * pace.rate
    seeds = np.random.SeedSequence(load.seed).generate_state(3, np.uint64).tolist()
    settings.qsl_rng_seed, settings.sample_index_rng_seed, settings.schedule_rng_seed = seeds
    return settings


def _log_settings(lg: Any, folder: Path) -> Any:  # noqa: ANN401  (as above)
    output = lg.LogOutputSettings()
    output.outdir = str(folder)
    output.copy_summary_to_stdout = False
    settings = lg.LogSettings()
    settings.log_output = output
    settings.enable_trace = False
    return settings
