"""`splitnet bench`: MLPerf's LoadGen against a device session or a tier."""

import os
import sys
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from splitnet.cli.console import print_json, stderr
from splitnet.cli.link_options import Plaintext, Tls, TlsServerName, link_settings
from splitnet.config import DeviceConfig, load_config
from splitnet.errors import InvalidArgumentError, SplitNetError, outcome_of
from splitnet.telemetry import start_logging

if TYPE_CHECKING:
    from splitnet.bench import Load, Report, Scenario
    from splitnet.cli.bench_targets import Target

# Beyond its deadline a request has so long to end before it counts as lost.
_LATE_S = 15.0
# What an interrupted program ends with, as shells have it.
_INTERRUPTED = 130


def bench(
    *,
    input_file: Annotated[Path, typer.Option("--input", metavar="FILE.npz", help="Samples, one array an input.")],
    scenario: Annotated[
        str, typer.Option(metavar="NAME", help="single-stream, multi-stream, server or offline.")
    ] = "single-stream",
    config: Annotated[
        Path | None, typer.Option(metavar="FILE.toml", help="A device's settings; options here win.")
    ] = None,
    package: Annotated[Path | None, typer.Option(metavar="P", help="Bench a device: its package.")] = None,
    upstream: Annotated[
        str | None, typer.Option(metavar="HOST:PORT,...", help="With a device: the tier above, or several.")
    ] = None,
    tier: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="Bench a tier instead, as its clients see it.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="With --tier: the model asked for, NAME or NAME.TIER.")
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="N", help="Queries come for so long, at least.")] = 60.0,
    target_qps: Annotated[
        float | None, typer.Option(metavar="N", help="Of server: queries a second; of offline: as expected.")
    ] = None,
    target_latency_ms: Annotated[
        float | None, typer.Option(metavar="N", help="Of server: what 99 % of queries keep to; 100 if absent.")
    ] = None,
    streams: Annotated[int, typer.Option(metavar="N", help="Of multi-stream: samples a query.")] = 8,
    samples: Annotated[int | None, typer.Option(min=1, metavar="N", help="Use the first N samples.")] = None,
    in_flight: Annotated[int, typer.Option(metavar="N", help="Samples under way at a time, at most.")] = 64,
    deadline_ms: Annotated[
        float | None, typer.Option(metavar="N", help="Answer within so many milliseconds.")
    ] = None,
    accuracy: Annotated[
        bool, typer.Option("--accuracy", help="Ask for every sample once, and time nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the samples' order and the queries' times.")] = 0,
    logs: Annotated[Path | None, typer.Option(metavar="DIR", help="Keep LoadGen's own logs there.")] = None,
    tls: Tls = None,
    tls_server_name: TlsServerName = None,
    plaintext: Plaintext = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to standard error.")] = False,
) -> None:
    """Put MLPerf's load on a device or a tier and print what it measured: MLPerf-style, no official result."""
    from splitnet.bench import Load, check_loadgen
    from splitnet.cli.bench_progress import print_report
    from splitnet.cli.bench_targets import session_target
    from splitnet.cli.bench_tier import TierClientConfig, tier_target
    from splitnet.runtime.allocator import keep_memory

    check_loadgen()
    load = Load(
        scenario=cast("Scenario", scenario),  # whether it is one, Load says
        samples=samples or 1,
        seconds=seconds,
        target_qps=target_qps,
        target_latency_ms=target_latency_ms,
        streams=streams,
        in_flight=in_flight,
        accuracy=accuracy,
        seed=seed,
    )
    links = link_settings(tls, plaintext, tls_server_name=tls_server_name)
    settings = {"in_flight": in_flight, "deadline_ms": deadline_ms} | links
    if tier is not None:
        _refuse("--tier", {"--package": package, "--upstream": upstream, "--config": config})
        if model is None:
            raise InvalidArgumentError("--tier: which model? give --model NAME, or NAME.TIER for one segment")
        client = load_config(TierClientConfig, None, settings | {"address": tier, "model": model})
        target = tier_target(client, input_file, samples)
    elif package is None and config is None:
        raise InvalidArgumentError("what? --package P for a device, or --tier HOST:PORT with --model NAME")
    else:
        _refuse("a device (--package)", {"--model": model})
        device = load_config(DeviceConfig, config, settings | {"package": package, "upstream": upstream})
        target = session_target(device, input_file, samples)
    start_logging(verbose=verbose)
    keep_memory()
    report = _run(load, target, logs)
    if json_output:
        print_json(report.to_json())
    else:
        print_report(report)
    if report.errors:
        raise typer.Exit(4)


def _refuse(what: str, options: Mapping[str, object]) -> None:
    """Raise where an option was given that means nothing for `what`."""
    if given := [name for name, value in options.items() if value is not None]:
        raise InvalidArgumentError(f"{given[0]} means nothing for {what}: leave one of them out")


def _run(load: "Load", opening: "AbstractContextManager[Target]", logs: Path | None) -> "Report":
    """Open the target, put the load on it and close it, also when interrupted."""
    from splitnet.bench import Tally, run_load
    from splitnet.cli.bench_progress import bench_progress

    try:
        with opening as target, bench_progress(stderr, load.scenario) as advance:
            return run_load(
                replace(load, samples=target.samples.count),
                target.submit,
                Tally(target.samples.labels, target.class_output),
                limit_s=target.deadline_s + _LATE_S,
                logs=logs,
                on_progress=advance,
            )
    except KeyboardInterrupt:
        _leave("broken off: LoadGen says nothing of part of a run", _INTERRUPTED)
    except SplitNetError as err:
        _leave(str(err), outcome_of(err).exit_code)


def _leave(text: str, code: int) -> NoReturn:
    """End the process past LoadGen, which cannot be stopped; everything of ours is closed by now."""
    sys.stderr.write(f"splitnet: {text}\n")
    sys.stderr.flush()
    os._exit(code)
