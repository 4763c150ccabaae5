"""`splitnet emulate`: a TCP proxy that behaves like a link of a given bandwidth and delay, and fails as told."""

import asyncio
import itertools
import signal
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.console import print_json, print_line
from splitnet.config import format_address, parse_address
from splitnet.emulate import (
    LinkShape,
    LinkStats,
    Proxy,
    Step,
    TimedFault,
    new_event_loop,
    parse_fault,
    play_fault,
)
from splitnet.errors import InvalidArgumentError
from splitnet.units import parse_duration_s, parse_rate


def emulate(
    *,
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.")],
    to: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where every connection is carried to.")],
    bandwidth: Annotated[
        str | None, typer.Option(metavar="RATE", help="Bits a second each way, such as 20M; unlimited if absent.")
    ] = None,
    delay: Annotated[str, typer.Option(metavar="TIME", help="One-way delay, such as 5ms.")] = "0",
    jitter: Annotated[str, typer.Option(metavar="TIME", help="The delay varies by up to this, each way.")] = "0",
    trace: Annotated[
        Path | None, typer.Option(metavar="FILE.csv", help="Bandwidth over time, over and over, for --bandwidth.")
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(metavar="FAULT", help="What goes wrong, such as 'black-hole at 5s for 2s'; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes the sequence of the jitter.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line.")] = False,
) -> None:
    """Carry TCP connections over an emulated link, until interrupted or terminated."""
    shape = LinkShape(
        bandwidth_bps=None if bandwidth is None else parse_rate(bandwidth),
        delay_s=parse_duration_s(delay),
        jitter_s=parse_duration_s(jitter),
    )
    steps = _steps(trace, shape) if trace is not None else ()
    faults = [parse_fault(text) for text in fault or ()]
    proxy = Proxy(parse_address(to), shape, listen=parse_address(listen), seed=seed)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(proxy, steps, faults, json_output=json_output))
    _print_counts(proxy.stats, json_output=json_output)


def _steps(trace: Path, shape: LinkShape) -> Sequence[Step]:
    """Return what a recorded bandwidth makes of a link with the delay and jitter of `shape`."""
    if shape.bandwidth_bps is not None:
        raise InvalidArgumentError("--bandwidth and --trace: choose one; a trace says what the bandwidth is")
    from splitnet.cost.traces import read_trace

    read = read_trace(trace)
    spans = itertools.pairwise((*read.starts_s, read.length_s))
    return [
        Step(end_s - start_s, replace(shape, bandwidth_bps=rate_bps))
        for (start_s, end_s), rate_bps in zip(spans, read.rates_bps, strict=True)
    ]


async def _serve(proxy: Proxy, steps: Sequence[Step], faults: Sequence[TimedFault], *, json_output: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with proxy, asyncio.TaskGroup() as group:
        if steps:
            proxy.play(steps, repeat=True)
        playing = [group.create_task(play_fault(proxy, each)) for each in faults]
        address = format_address(proxy.address)
        if json_output:
            print_json({"listening": address})
        else:
            print_line(f"listening on {address}")
        await stop.wait()
        for task in playing:
            task.cancel()


def _print_counts(stats: LinkStats, *, json_output: bool) -> None:
    if json_output:
        print_json(asdict(stats))
    else:
        print_line(f"up {stats.up_bytes} bytes, down {stats.down_bytes} bytes, {stats.connections} connections")
