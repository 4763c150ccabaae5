"""What one hop between tiers costs over bare TCP and over a plain gRPC stream of the same bytes."""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.echo_peer import echo_peer
from benchmarks.harness import (
    KILOBYTE,
    Calls,
    Figure,
    Options,
    identity_package,
    interleave,
    load_segments,
    median,
    open_hop,
    random_bytes,
    read_options,
    show,
)
from splitnet.config import parse_address
from splitnet.emulate.lab import TierProcess

#: Payload, what it may add over bare TCP in milliseconds, and how many calls a turn has.
_PAYLOADS = ((KILOBYTE, 0.40, 20), (800 * KILOBYTE, 0.60, 10))


def main() -> None:
    """Measure both payloads and print."""
    options = read_options(__doc__, seconds=30.0)
    figures = [figure for payload in _PAYLOADS for figure in _measure(*payload, options)]
    show("one hop, one request in flight", figures, options)


def _measure(size_bytes: int, goal_ms: float, block: int, options: Options) -> list[Figure]:
    payload = random_bytes(size_bytes)
    message = payload["x"].tobytes()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        package = identity_package(Path(folder), size_bytes)
        (segment,) = load_segments(package)
        tier = stack.enter_context(TierProcess("cloud", package.path, []))
        tcp, stream = stack.enter_context(echo_peer())
        hop = stack.enter_context(open_hop(package, parse_address(tier.address), payload))
        assert tcp(message) == stream(message) == message
        calls: Calls = {
            "tcp": partial(tcp, message),
            "grpc": partial(stream, message),
            "hop": hop,
            "identity": partial(segment.run, payload),
        }
        taken = interleave(calls, seconds=options.seconds / len(_PAYLOADS), block=block)
    tcp_ms, grpc_ms, hop_ms, identity_ms = (median(taken[name]) for name in calls)
    size = f"{size_bytes // KILOBYTE} KB"
    return [
        Figure(f"{size}: bare TCP, ms", tcp_ms),
        Figure(f"{size}: gRPC stream, ms", grpc_ms),
        Figure(f"{size}: hop, ms", hop_ms),
        Figure(f"{size}: the identity segment alone, ms", identity_ms),
        Figure(f"{size}: hop - bare TCP, ms", hop_ms - tcp_ms, f"<= {goal_ms:.2f}"),
        Figure(f"{size}: hop / gRPC stream", hop_ms / grpc_ms, "<= 1.10"),
    ]


if __name__ == "__main__":
    main()
