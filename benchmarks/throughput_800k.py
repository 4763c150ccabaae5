"""How many messages of 800 KB a link carries a second, eight in flight, against bare TCP."""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    KILOBYTE,
    Figure,
    identity_package,
    median,
    open_link,
    random_bytes,
    ratio,
    read_options,
    rounds,
    show,
)
from benchmarks.in_flight import rate
from benchmarks.tcp_echo import tcp_echo
from splitnet.config import parse_address
from splitnet.emulate.lab import TierProcess

_SIZE_BYTES = 800 * KILOBYTE
_IN_FLIGHT = 8
_TURN_S = 0.75


def main() -> None:
    """Measure both in turns and print."""
    options = read_options(__doc__, seconds=15.0)
    payload = random_bytes(_SIZE_BYTES)
    of_link: list[float] = []
    of_tcp: list[float] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        package = identity_package(Path(folder), _SIZE_BYTES)
        tier = stack.enter_context(TierProcess("cloud", package.path, []))
        tcp = stack.enter_context(tcp_echo(payload["x"].tobytes()))
        link = stack.enter_context(open_link(package, parse_address(tier.address), window=_IN_FLIGHT))
        send = partial(link, payload)
        rate(send, in_flight=_IN_FLIGHT, seconds=_TURN_S)
        for _ in rounds(options.seconds):
            of_tcp.append(rate(tcp, in_flight=_IN_FLIGHT, seconds=_TURN_S))
            of_link.append(rate(send, in_flight=_IN_FLIGHT, seconds=_TURN_S))
    figures = [
        Figure("bare TCP, messages/s", median(of_tcp), best=max(of_tcp)),
        Figure("link, messages/s", median(of_link), best=max(of_link)),
        Figure("link / bare TCP", ratio(of_link, of_tcp), ">= 0.30", best=max(of_link) / max(of_tcp)),
    ]
    show(f"messages of 800 KB, {_IN_FLIGHT} in flight", figures, options)


if __name__ == "__main__":
    main()
