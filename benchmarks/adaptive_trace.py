"""A device that changes plans as its link changes, beside each of the plans by itself, over an emulated link.

The link has 20 Mbit/s, then 1.6, then 20 again. The load comes in bursts. What counts is how many requests are
answered outside the first second after a change, against the best of the plans at that bandwidth: what somebody
would reach who knew the changes beforehand.
"""

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import Figure, median, read_options, rounds, show
from benchmarks.networks import NETWORKS
from splitnet.cost import Link, default_site
from splitnet.emulate.lab import TierProcess
from splitnet.package import Package, write_package
from splitnet.partition import PartitionOptions, partition
from splitnet.runtime import Answer
from splitnet.samples import Samples, read_samples
from splitnet.telemetry import Events
from splitnet_device import Session

_FAST_BPS, _SLOW_BPS, _DELAY_S = 20e6, 1.6e6, 0.005
_RATES_BPS = (_FAST_BPS, _SLOW_BPS, _FAST_BPS)
_PHASE_S = 8.0
_SETTLE_S = 1.0
_WARM_UP_S = 8.0
_DEVICE_SPEED = 0.15
_DEADLINE_MS = 10_000.0
# In flight: most of the time, and for the first part of every two seconds.
_FEW, _MANY, _BURST_S, _EVERY_S = 2, 6, 0.5, 2.0

#: Spans that count, seconds after the start.
_PHASES = tuple((index * _PHASE_S + _SETTLE_S, (index + 1) * _PHASE_S) for index in range(3))


@dataclass(slots=True)
class _Run(Events):
    """What came of one pass of the trace."""

    answered_s: list[float] = field(default_factory=list)
    switches: list[float] = field(default_factory=list)
    failed: int = 0
    fallbacks: int = 0
    start_s: float = 0.0

    def plan_switch(self, before: str, after: str) -> None:
        del before, after
        self.switches.append(time.perf_counter() - self.start_s)

    def rate(self, span: tuple[float, float]) -> float:
        """Answers a second."""
        return sum(span[0] <= at < span[1] for at in self.answered_s) / (span[1] - span[0])

    def switches_of(self, phase: int) -> int:
        """How often the plan was changed from the beginning of a phase to its end."""
        return sum(phase * _PHASE_S <= at < (phase + 1) * _PHASE_S for at in self.switches)


def main() -> None:
    """Cut a network for several plans, run the trace with each and with all of them in turns, and print."""
    options = read_options(__doc__, seconds=3 * 3 * _PHASE_S)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package, samples = _package(folder)
        fixed = [_with_default(package, index, folder) for index in range(len(package.manifest.plans))]
        runs = [
            [_pass(package, samples, adaptive=True), *(_pass(one, samples, adaptive=False) for one in fixed)]
            for _ in rounds(options.seconds)
        ]
    show("a link of 20, 1.6 and 20 Mbit/s", _figures(package, runs), options)


def _package(folder: Path) -> tuple[Package, Samples]:
    """Cut the transformer for a slow device, with a plan for each of the two bandwidths or more."""
    network = NETWORKS["transformer"](folder)
    base = default_site()
    site = base.model_copy(
        update={
            "device": base.device.model_copy(update={"speed": _DEVICE_SPEED}),
            "edge": base.edge.model_copy(update={"speed": 1.0}),
            # A cloud that is not worth its link: this is about the first one.
            "links": (
                Link(bandwidth_bps=_FAST_BPS, delay_ms=_DELAY_S * 1e3),
                Link(bandwidth_bps=1e5, delay_ms=40),
            ),
        }
    )
    options = PartitionOptions(
        model=network.model,
        output=folder / "plans.split",
        site=site,
        calibration=network.samples,
        codec="u8",
        coding="none",
        plans=3,
        profile_s=1.0,
    )
    package = partition(options).package
    specs = tuple(entry.to_spec() for entry in package.manifest.model.inputs)
    return package, read_samples(network.samples, specs)


def _with_default(package: Package, index: int, folder: Path) -> Package:
    """The same package with another of its plans as the default one."""
    manifest = package.manifest
    plans = (manifest.plans[index], *manifest.plans[:index], *manifest.plans[index + 1 :])
    files = {name: (package.path / name).read_bytes() for name in manifest.files}
    return write_package(folder / f"plan{index}.split", manifest.model_copy(update={"plans": plans}), files)


def _pass(package: Package, samples: Samples, *, adaptive: bool) -> _Run:
    """Play the trace once."""
    run = _Run()
    settings = package.path.with_suffix(".toml")
    settings.write_text("[cache]\nentries = 0\n")  # there are few samples, which are to be computed all the same
    with ExitStack() as stack:
        edge = stack.enter_context(TierProcess("edge", package.path, ["--config", str(settings)]))
        address, begun_s = stack.enter_context(_link(edge.address, settings.with_suffix(".csv")))
        session = stack.enter_context(
            Session(
                package.path,
                upstream=address,
                deadline_ms=_DEADLINE_MS,
                emulated_speed=_DEVICE_SPEED,
                adaptive={"enabled": adaptive},
                events=run,
            )
        )
        session.wait_for_link(5.0)
        run.start_s = begun_s + _WARM_UP_S
        _load(session, samples, run, until_s=run.start_s, count=False)  # plans are loaded, the link is known
        run.switches.clear()
        _load(session, samples, run, until_s=run.start_s + 3 * _PHASE_S, count=True)
    return run


@contextmanager
def _link(target: str, trace: Path) -> Iterator[tuple[str, float]]:
    """Run the link as a process of its own; yield its address and when it began."""
    steps = [(0.0, _FAST_BPS), *((_WARM_UP_S + one * _PHASE_S, bps) for one, bps in enumerate(_RATES_BPS))]
    lines = [*(f"{at:g},{bps:.0f}" for at, bps in steps), f"{_WARM_UP_S + 4 * _PHASE_S:g},{_FAST_BPS:.0f}"]
    trace.write_text("\n".join(["seconds,bits_per_second", *lines]) + "\n")
    options = ["--listen", "127.0.0.1:0", "--to", target, "--delay", f"{_DELAY_S:g}s", "--trace", str(trace)]
    command = [sys.executable, "-m", "splitnet", "emulate", *options, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            listening = json.loads(process.stdout.readline())["listening"]
            yield listening, time.perf_counter()
        finally:
            process.terminate()


def _load(session: Session, samples: Samples, run: _Run, *, until_s: float, count: bool) -> None:
    """Keep requests in flight, few and now and then many, and wait for the last of them."""
    changed, in_flight, sent = threading.Condition(), 0, 0

    def ended(done: "Future[Answer]") -> None:
        nonlocal in_flight
        with changed:
            in_flight -= 1
            if count:
                run.failed += done.exception() is not None
                run.fallbacks += done.exception() is None and done.result().fallback
                run.answered_s.append(time.perf_counter() - run.start_s)
            changed.notify()

    while (now_s := time.perf_counter()) < until_s:
        with changed:
            if in_flight >= (_MANY if now_s % _EVERY_S < _BURST_S else _FEW):
                changed.wait(0.05)
                continue
            in_flight, sent = in_flight + 1, sent + 1
        session.submit(samples.take([sent])).add_done_callback(ended)
    with changed:
        assert changed.wait_for(lambda: in_flight == 0, 2 * _DEADLINE_MS / 1e3), "a request has no end"


def _figures(package: Package, runs: Sequence[Sequence[_Run]]) -> list[Figure]:
    adaptive = [each[0] for each in runs]
    figures = []
    regrets = []
    for each in runs:
        reached = [[run.rate(span) for span in _PHASES] for run in each]
        best = [max(rates) for rates in zip(*reached[1:], strict=True)]
        regrets.append(1 - sum(reached[0]) / sum(best))
    for index, plan in enumerate(package.manifest.plans):
        stages = ", ".join(f"{stage.tier} {stage.compute_ms:.1f} ms" for stage in plan.stages)
        sent = sum(wire.sample_bytes for wire in plan.wires[:1])
        figures += _rates(
            f"plan {index + 1} alone ({stages}; {sent:,.0f} bytes)", [each[index + 1] for each in runs]
        )
    figures += _rates("all plans, as the device chooses", adaptive)
    return [
        *figures,
        Figure(
            "throughput regret, outside the first second after a change", median(regrets), "<= 0.05", min(regrets)
        ),
        Figure(
            "most switches after a change",
            max(run.switches_of(phase) for run in adaptive for phase in (1, 2)),
            "<= 1",
        ),
        Figure("switches without a change", sum(run.switches_of(0) for run in adaptive), "<= 0"),
        Figure("requests without an answer", sum(run.failed for each in runs for run in each), "<= 0"),
        Figure("answers by a fallback", sum(run.fallbacks for each in runs for run in each)),
    ]


def _rates(name: str, runs: Sequence[_Run]) -> list[Figure]:
    bandwidths = ("20 Mbit/s", "1.6 Mbit/s", "20 Mbit/s again")
    return [
        Figure(f"{name}: answers/s at {bandwidth}", median([run.rate(span) for run in runs]))
        for bandwidth, span in zip(bandwidths, _PHASES, strict=True)
    ]


if __name__ == "__main__":
    main()
