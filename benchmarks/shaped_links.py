"""What share of a slow link's bandwidth tensors of 800 KB get, four in flight."""

import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.harness import (
    KILOBYTE,
    Figure,
    Options,
    identity_package,
    open_link,
    random_bytes,
    read_options,
    show,
)
from benchmarks.in_flight import Start, rate
from splitnet.config import parse_address
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.emulate.lab import TierProcess

_SIZE_BYTES = 800 * KILOBYTE
_IN_FLIGHT = 4
_SHAPES = {"20 Mbit/s, 5 ms": LinkShape(20e6, 0.005), "100 Mbit/s, 40 ms": LinkShape(100e6, 0.040)}
#: Full windows sent beforehand, to let gRPC's own windows grow: what is measured is a link in use.
_WARM_UP_WINDOWS = 2


def main() -> None:
    """Measure one link after the other and print."""
    options = read_options(__doc__, seconds=24.0)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        package = identity_package(Path(folder), _SIZE_BYTES)
        tier = stack.enter_context(TierProcess("cloud", package.path, []))
        figures = []
        for name, shape in _SHAPES.items():
            with (
                ShapedLink(parse_address(tier.address), shape) as shaped,
                open_link(package, shaped.address, window=_IN_FLIGHT) as send,
            ):
                share = _share(partial(send, random_bytes(_SIZE_BYTES)), shape, options)
            figures.append(Figure(f"{name}: share of the bandwidth", share, ">= 0.90"))
    show(f"tensors of 800 KB, {_IN_FLIGHT} in flight, both ways", figures, options)


def _share(send: Start, shape: LinkShape, options: Options) -> float:
    assert shape.bandwidth_bps is not None
    for _ in range(_WARM_UP_WINDOWS):
        for answer in [send() for _ in range(_IN_FLIGHT)]:
            answer.result()
    messages = rate(send, in_flight=_IN_FLIGHT, seconds=options.seconds / len(_SHAPES))
    return messages * _SIZE_BYTES * 8 / shape.bandwidth_bps


if __name__ == "__main__":
    main()
