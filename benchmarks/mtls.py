"""What mutual TLS costs a link, in CPU time of both ends and in time, against the same link in plaintext."""

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.cpu import cpu_s
from benchmarks.harness import (
    KILOBYTE,
    Credentials,
    Figure,
    Options,
    identity_package,
    median,
    open_hop,
    random_bytes,
    ratio,
    read_options,
    rounds,
    show,
)
from splitnet.certificates import Authority, Validity, alternative_names, make_machine
from splitnet.config import TlsConfig, parse_address
from splitnet.emulate.lab import TierProcess
from splitnet.link.tls import client_credentials

_PAYLOADS = (KILOBYTE, 800 * KILOBYTE)
# The kernel counts a process's CPU time in hundredths of a second: a turn has many of them.
_TURN_S = 0.75


@dataclass(slots=True)
class _Side:
    """One of the two links, and what a message took on it in each turn."""

    call: Callable[[], object]
    pid: int
    cpu_us: list[float] = field(default_factory=list)
    wall_us: list[float] = field(default_factory=list)

    def turn(self) -> None:
        """Call for a while, one in flight."""
        before_s, start_s = self._cpu_s(), time.perf_counter()
        calls = 0
        while time.perf_counter() - start_s < _TURN_S:
            self.call()
            calls += 1
        self.wall_us.append(1e6 * (time.perf_counter() - start_s) / calls)
        self.cpu_us.append(1e6 * (self._cpu_s() - before_s) / calls)

    def _cpu_s(self) -> float:
        return time.process_time() + cpu_s(self.pid)


def main() -> None:
    """Measure both payloads and print."""
    options = read_options(__doc__, seconds=20.0)
    with tempfile.TemporaryDirectory() as folder:
        machine = _certificate(Path(folder))
        figures = [figure for size in _PAYLOADS for figure in _measure(size, machine, Path(folder), options)]
    show("mutual TLS, one request in flight", figures, options)


def _certificate(folder: Path) -> Path:
    """Make a site's authority and one machine's certificate, which both ends show here; return its directory."""
    validity = Validity.from_now(days=1)
    authority = Authority.make(folder / "authority", site="benchmark", validity=validity)
    names = alternative_names("localhost", ["127.0.0.1"])
    make_machine(folder / "machine", authority, names=names, validity=validity)
    return folder / "machine"


def _measure(size_bytes: int, machine: Path, folder: Path, options: Options) -> list[Figure]:
    payload = random_bytes(size_bytes)
    with ExitStack() as stack:
        package = identity_package(folder, size_bytes)

        def side(arguments: list[str], credentials: Credentials | None) -> _Side:
            tier = stack.enter_context(TierProcess("cloud", package.path, arguments))
            hop = open_hop(package, parse_address(tier.address), payload, credentials=credentials)
            return _Side(stack.enter_context(hop), tier.pid)

        plain = side([], None)
        secured = side(["--tls", str(machine)], lambda: client_credentials(TlsConfig(directory=machine)))
        for _ in rounds(options.seconds / len(_PAYLOADS)):
            plain.turn()
            secured.turn()
    name = f"{size_bytes // KILOBYTE} KB"
    return [
        Figure(f"{name}: plaintext, us of CPU", median(plain.cpu_us), best=min(plain.cpu_us)),
        Figure(f"{name}: mTLS, us of CPU", median(secured.cpu_us), best=min(secured.cpu_us)),
        _ratio(f"{name}: mTLS / plaintext, CPU", secured.cpu_us, plain.cpu_us),
        _ratio(f"{name}: mTLS / plaintext, time", secured.wall_us, plain.wall_us),
    ]


def _ratio(name: str, above: list[float], below: list[float]) -> Figure:
    return Figure(name, ratio(above, below), "<= 2.00", best=min(above) / min(below))


if __name__ == "__main__":
    main()
