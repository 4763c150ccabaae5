"""Bytes that cross a link beside the tensors: HTTP/2 and gRPC framing, names, parameters; counted by a proxy."""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    KILOBYTE,
    Figure,
    Options,
    example_package,
    example_tiles,
    identity_package,
    open_hop,
    random_bytes,
    read_options,
    rounds,
    show,
    three_tiers,
)
from splitnet.config import parse_address
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.emulate.lab import LINKS, TierProcess

_PAYLOADS = ((KILOBYTE, ""), (16 * KILOBYTE, "<= 1.00"), (800 * KILOBYTE, "<= 1.00"))


def main() -> None:
    """Count for each payload and for the example's tiles, and print."""
    options = read_options(__doc__, seconds=8.0)
    figures = [figure for payload in _PAYLOADS for figure in _identity(*payload, options)]
    show("bytes beside the tensors, a request and its response", [*figures, *_example(options)], options)


def _identity(size_bytes: int, goal: str, options: Options) -> list[Figure]:
    payload = random_bytes(size_bytes)
    with tempfile.TemporaryDirectory() as folder:
        package = identity_package(Path(folder), size_bytes)
        with (
            TierProcess("cloud", package.path, []) as tier,
            ShapedLink(parse_address(tier.address), LinkShape()) as link,
            open_hop(package, link.address, payload) as hop,
        ):
            ((up, down),) = _bytes_a_call(hop, [link], options.seconds / 2 / len(_PAYLOADS))
    size = f"{size_bytes // KILOBYTE} KB"
    return [
        Figure(f"{size}: framing up, bytes", up - size_bytes),
        Figure(f"{size}: framing down, bytes", down - size_bytes),
        Figure(f"{size}: framing / tensors, %", 100 * ((up + down) / (2 * size_bytes) - 1), goal),
    ]


def _example(options: Options) -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        package = example_package(Path(folder))
        manifest = package.manifest
        tile = example_tiles(package).take([0])
        with three_tiers(package, watched=True) as (session, links):
            answer = session.infer(tile)
            counted = _bytes_a_call(partial(session.infer, tile), links, options.seconds / 2)
    answer_bytes = sum(array.nbytes for array in answer.outputs.values())
    figures = []
    for name, wire, (up, down) in zip(LINKS, manifest.plan.wires, counted, strict=True):
        tensors = answer_bytes + sum(spec.sample_nbytes for spec in wire.specs)
        figures += [
            Figure(f"example, {name}: all, bytes", up + down),
            Figure(f"example, {name}: beside the tensors, bytes", up + down - tensors),
        ]
    return figures


def _bytes_a_call(
    call: Callable[[], object], links: Sequence[ShapedLink], seconds: float
) -> list[tuple[float, float]]:
    """Return the bytes up and down that one call puts on each link."""
    call()
    before = [link.stats() for link in links]
    count = 0
    for _ in rounds(seconds):
        call()
        count += 1
    after = [link.stats() for link in links]
    return [
        ((now.up_bytes - then.up_bytes) / count, (now.down_bytes - then.down_bytes) / count)
        for then, now in zip(before, after, strict=True)
    ]


if __name__ == "__main__":
    main()
