"""`splitnet emulate`: a TCP proxy that behaves like a link of a given bandwidth and delay."""

import asyncio
import signal
from dataclasses import asdict
from typing import Annotated

import typer

from splitnet.cli.console import print_json, print_line
from splitnet.config import format_address, parse_address
from splitnet.emulate import LinkShape, LinkStats, Proxy, new_event_loop
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
    seed: Annotated[int, typer.Option(help="Fixes the sequence of the jitter.")] = 0,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON objects, one a line.")] = False,
) -> None:
    """Carry TCP connections over an emulated link, until interrupted or terminated."""
    shape = LinkShape(
        bandwidth_bps=None if bandwidth is None else parse_rate(bandwidth),
        delay_s=parse_duration_s(delay),
        jitter_s=parse_duration_s(jitter),
    )
    proxy = Proxy(parse_address(to), shape, listen=parse_address(listen), seed=seed)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(proxy, json_output=json_output))
    _print_counts(proxy.stats, json_output=json_output)


async def _serve(proxy: Proxy, *, json_output: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with proxy:
        address = format_address(proxy.address)
        if json_output:
            print_json({"listening": address})
        else:
            print_line(f"listening on {address}")
        await stop.wait()


def _print_counts(stats: LinkStats, *, json_output: bool) -> None:
    if json_output:
        print_json(asdict(stats))
    else:
        print_line(f"up {stats.up_bytes} bytes, down {stats.down_bytes} bytes, {stats.connections} connections")
