"""How far the chosen plan is from the best that could have been chosen, when all of them really run.

This process is the device, at an eighth of its speed; edge and cloud are processes of their own behind emulated
links. For each bandwidth of the device's link, the plan that `splitnet partition` chooses, every way not to split
and every cut at a single tensor take turns, request by request. Regret is what the chosen plan takes over the
fastest, less 1.
"""

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.candidates import (
    CHOSEN,
    CLOUD_BPS,
    CLOUD_DELAY_MS,
    DEVICE_SPEED,
    EDGE_DELAY_MS,
    UNSPLIT,
    Candidate,
    Planner,
)
from benchmarks.harness import DEADLINE_MS, SEED, median, ratio, timed_ms
from benchmarks.networks import NETWORKS
from splitnet.config import format_address, parse_address
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.emulate.lab import TierProcess
from splitnet.package import Package
from splitnet.tensors import Tensors
from splitnet_device import Session

BANDWIDTHS_BPS = (1.6e6, 8e6, 20e6, 100e6)

_LEAST_ROUNDS = 11
# What takes longer than the best by this factor after so many rounds is not run any more.
_HOPELESS = {1: 3.0, 3: 1.5}
_WARM_UP = 3


@dataclass(frozen=True, slots=True)
class _Options:
    """The command line."""

    models: tuple[str, ...]
    seconds: float
    json_output: bool


@dataclass(frozen=True, slots=True)
class _Lane:
    """A plan that runs: its device session, and the link that the device sends over, if it sends anything."""

    session: Session
    link: ShapedLink | None

    def reshape(self, bandwidth_bps: float) -> None:
        """Give the link another bandwidth."""
        if self.link is not None:
            self.link.reshape(LinkShape(bandwidth_bps, EDGE_DELAY_MS / 1e3))


@dataclass(frozen=True, slots=True)
class _Race:
    """What came of one model and bandwidth.

    Attributes:
        model: its name.
        bandwidth_bps: of the device's link.
        candidates: the chosen plan first.
        rounds_ms: of each candidate, its time in every round, from the first on; some stopped early.
    """

    model: str
    bandwidth_bps: float
    candidates: Sequence[Candidate]
    rounds_ms: Sequence[Sequence[float]]

    @property
    def measured_ms(self) -> list[float]:
        """The median of each candidate."""
        return [median(values) for values in self.rounds_ms]

    @property
    def regret(self) -> float:
        """What the chosen plan takes over the fastest in the same rounds, less 1; 0 where it is the fastest."""
        chosen = self.rounds_ms[0]
        return max(ratio(chosen[: len(other)], other) for other in self.rounds_ms) - 1

    @property
    def unsplit_ms(self) -> float:
        """The best of those that do not split."""
        pairs = zip(self.candidates, self.measured_ms, strict=True)
        return min(ms for one, ms in pairs if not set(UNSPLIT).isdisjoint(one.names))


def main() -> None:
    """Plan, run and print."""
    options = _options()
    races: list[_Race] = []
    for name in options.models:
        with tempfile.TemporaryDirectory() as folder:
            for race in _races(name, Path(folder), options):
                races.append(race)
                if not options.json_output:
                    _show(race)
    if options.json_output:
        print(json.dumps(_to_json(races)))
    else:
        _show_regrets(races)


def _options() -> _Options:
    """Read the command line, and let SIGTERM end the program in order, so that no process is left behind."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", nargs="+", choices=tuple(NETWORKS), default=tuple(NETWORKS), help="which networks to plan for"
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=15.0,
        metavar="N",
        help="run so long for each model and bandwidth, or longer",
    )
    parser.add_argument("--json", action="store_true", dest="json_output", help="print one JSON object")
    values = parser.parse_args()
    if not 0.1 <= values.seconds <= 600:
        parser.error("--seconds: expected 0.1 to 600")
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    return _Options(tuple(dict.fromkeys(values.models)), values.seconds, values.json_output)


def _races(name: str, folder: Path, options: _Options) -> Iterator[_Race]:
    """Plan for all bandwidths, start each plan once, and run them bandwidth by bandwidth."""
    exported = NETWORKS[name](folder)
    samples = _samples(exported.samples)
    planner = Planner(exported, folder)
    planned = {}
    for bandwidth_bps in BANDWIDTHS_BPS:
        _say(f"{name}: plan for {_rate(bandwidth_bps)}")
        planned[bandwidth_bps] = planner.candidates(bandwidth_bps)
    packages = {one.package.manifest.plan.id: one.package for every in planned.values() for one in every}
    _say(f"{name}: start {len(packages)} plans")
    with _running(packages, samples[0]) as lanes:
        for bandwidth_bps, candidates in planned.items():
            _say(f"{name}: run {len(candidates)} plans at {_rate(bandwidth_bps)}")
            runs = [lanes[one.package.manifest.plan.id] for one in candidates]
            for lane in runs:
                lane.reshape(bandwidth_bps)
            yield _Race(name, bandwidth_bps, candidates, _raced(runs, samples, options.seconds))


@contextmanager
def _running(packages: Mapping[str, Package], sample: Tensors) -> Iterator[dict[str, _Lane]]:
    """Start the tiers of every package and a device session for each, and run each a few times."""
    with ExitStack() as stack:
        lanes = {plan: _start(package, stack) for plan, package in packages.items()}
        for _ in range(_WARM_UP):
            for lane in lanes.values():
                _infer(lane, sample)
        yield lanes


def _start(package: Package, stack: ExitStack) -> _Lane:
    links: list[ShapedLink] = []
    above: str | None = None
    last = len(package.manifest.plan.wires)
    delays = (EDGE_DELAY_MS, CLOUD_DELAY_MS)
    for tier, delay_ms in reversed(list(zip(("edge", "cloud"), delays, strict=True))[:last]):
        upstream = ["--upstream", above] if above is not None else []
        options = [*upstream, *(["--no-cache"] if tier == "edge" else [])]
        process = stack.enter_context(TierProcess(tier, package.path, options))
        shape = LinkShape(CLOUD_BPS, delay_ms / 1e3)
        links.append(stack.enter_context(ShapedLink(parse_address(process.address), shape)))
        above = format_address(links[-1].address)
    session = stack.enter_context(
        Session(package.path, upstream=above, deadline_ms=DEADLINE_MS, emulated_speed=DEVICE_SPEED)
    )
    return _Lane(session, links[-1] if links else None)


def _samples(path: Path) -> list[Tensors]:
    with np.load(path) as file:
        ((name, values),) = file.items()
    return [{name: values[index : index + 1]} for index in range(len(values))]


def _raced(lanes: Sequence[_Lane], samples: Sequence[Tensors], seconds: float) -> list[list[float]]:
    """Run all in turn, each round with another sample, and return what each took in every round, ms."""
    taken: list[list[float]] = [[] for _ in lanes]
    running = list(range(len(lanes)))
    rng = np.random.default_rng(SEED)
    rounds, end = 0, time.monotonic() + seconds
    while rounds < _LEAST_ROUNDS or time.monotonic() < end:
        sample = samples[rounds % len(samples)]
        # In the same order each time, what one leaves behind would always fall on the same next one.
        for index in rng.permutation(running):
            taken[index].append(timed_ms(partial(_infer, lanes[index], sample)))
        rounds += 1
        if rounds in _HOPELESS:
            medians = [median(values) for values in taken]
            limit = _HOPELESS[rounds] * min(medians)
            # The first, which was chosen, runs to the end.
            running = [index for index in running if index == 0 or medians[index] <= limit]
    return taken


def _infer(lane: _Lane, sample: Tensors) -> None:
    answer = lane.session.infer(sample)
    assert not answer.fallback, "a plan was answered by a fallback"


def _say(text: str) -> None:
    Console(stderr=True).print(text, highlight=False)


def _rate(bandwidth_bps: float) -> str:
    return f"{bandwidth_bps / 1e6:g} Mbit/s"


def _title(race: _Race) -> str:
    return f"{race.model}, {_rate(race.bandwidth_bps)}"


def _show(race: _Race) -> None:
    """Print all candidates of a race, fastest first."""
    table = Table("plan", "sent", "predicted, ms", "measured, ms", title=_title(race))
    pairs = zip(race.candidates, race.measured_ms, strict=True)
    for one, ms in sorted(pairs, key=lambda pair: pair[1]):
        table.add_row(", ".join(one.names), one.sent, f"{one.predicted_ms:.1f}", f"{ms:.1f}")
    Console().print(table)


def _show_regrets(races: Sequence[_Race]) -> None:
    """Print the regret of every race, and the largest."""
    table = Table("", "chosen", "predicted", "measured", "best unsplit", "best", "regret", title="ms")
    for race in races:
        chosen = race.candidates[0]
        figures = (chosen.predicted_ms, race.measured_ms[0], race.unsplit_ms, min(race.measured_ms))
        name = next((one for one in chosen.names if one != CHOSEN), chosen.sent)
        table.add_row(_title(race), name, *(f"{ms:.1f}" for ms in figures), f"{race.regret:.1%}")
    Console().print(table)
    print(f"largest regret {max(race.regret for race in races):.1%}, goal <= 5 %")


def _to_json(races: Sequence[_Race]) -> dict[str, object]:
    return {
        "races": [
            {
                "model": race.model,
                "bandwidth_bps": race.bandwidth_bps,
                "regret": round(race.regret, 4),
                "unsplit_ms": round(race.unsplit_ms, 3),
                "plans": [
                    {
                        "names": list(one.names),
                        "sent": one.sent,
                        "predicted_ms": round(one.predicted_ms, 3),
                        "measured_ms": round(ms, 3),
                    }
                    for one, ms in zip(race.candidates, race.measured_ms, strict=True)
                ],
            }
            for race in races
        ],
        "largest_regret": round(max(race.regret for race in races), 4),
    }


if __name__ == "__main__":
    main()
