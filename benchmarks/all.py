"""Every benchmark that has a goal, one after the other, and one table of goals and figures.

    python -m benchmarks.all [--seconds N] [--peers DIR] [--json]

Takes the measured seconds, a minute and a half for the adaptive trace, and ten seconds or so for each benchmark's
start. Exit code 1 where a goal is not met even by the quietest round, or a benchmark failed.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Figure
from benchmarks.peers import default_folder

#: Each benchmark's share of the time: those with small differences between large figures get more.
_SHARES = {
    "hop_overhead": 4.0,
    "throughput_800k": 1.5,
    "tensor_copy": 1.0,
    "mtls": 2.5,
    "pipeline_latency": 2.5,
    "pipeline_throughput": 3.0,
    "shaped_links": 2.5,
    "against_triton": 3.0,
    "overload": 2.0,
    "adaptive_trace": 0.1,  # it plays its trace once for each plan, whatever the time
}
#: At most, to start processes, make packages and stop them again.
_BESIDE_S = 240.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one benchmark came to: the figures that have a goal, or why there are none."""

    benchmark: str
    figures: tuple[Figure, ...]
    failure: str = ""


def main() -> None:
    """Run all and print."""
    values = _arguments()
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    for benchmark, seconds in _plan(values.seconds):
        console.print(f"{benchmark}: {seconds:.0f} s …")
        arguments = ["--peers", str(values.peers)] if benchmark == "against_triton" else []
        outcomes.append(_outcome(benchmark, seconds, arguments))
    if values.json_output:
        print(json.dumps([_as_json(outcome) for outcome in outcomes]))
    else:
        _print(outcomes)
    sys.exit(any(outcome.failure or _missed(outcome) for outcome in outcomes))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--seconds", type=float, default=210.0, metavar="N", help="measure for so long, altogether"
    )
    parser.add_argument("--peers", type=Path, default=default_folder(), metavar="DIR", help="where Triton is kept")
    parser.add_argument("--json", action="store_true", dest="json_output", help="print one JSON list")
    values = parser.parse_args()
    if not 10 <= values.seconds <= 3600:
        parser.error("--seconds: expected 10 to 3600")
    return values


def _plan(seconds: float) -> Iterator[tuple[str, float]]:
    whole = sum(_SHARES.values())
    yield from ((benchmark, seconds * share / whole) for benchmark, share in _SHARES.items())


def _outcome(benchmark: str, seconds: float, arguments: Sequence[str]) -> Outcome:
    command = [
        sys.executable,
        "-m",
        f"benchmarks.{benchmark}",
        "--json",
        "--seconds",
        f"{seconds:.1f}",
        *arguments,
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            said, complaints = process.communicate(timeout=seconds + _BESIDE_S)
        except subprocess.TimeoutExpired:
            return Outcome(benchmark, (), f"did not end within {seconds + _BESIDE_S:.0f} s")
        finally:
            _end(process)
    if process.returncode:
        last = (complaints.strip().splitlines() or ["it said nothing"])[-1]
        return Outcome(benchmark, (), f"exit code {process.returncode}: {last}")
    return Outcome(benchmark, tuple(_with_goals(json.loads(said))))


def _end(process: "subprocess.Popen[str]") -> None:
    """Let a benchmark that still runs stop its processes; kill it where it does not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.communicate(timeout=30.0)
    except subprocess.TimeoutExpired:
        process.kill()


def _with_goals(said: list[dict[str, Any]]) -> Iterator[Figure]:
    for fields in said:
        if fields["goal"]:
            yield Figure(fields["name"], fields["value"], fields["goal"], fields["best"])


def _missed(outcome: Outcome) -> bool:
    return any(figure.met == "no" for figure in outcome.figures)


def _as_json(outcome: Outcome) -> dict[str, Any]:
    figures = [asdict(figure) | {"met": figure.met} for figure in outcome.figures]
    return {"benchmark": outcome.benchmark, "figures": figures, "failure": outcome.failure}


def _print(outcomes: Sequence[Outcome]) -> None:
    table = Table("benchmark", "figure", "goal", "median", "best round", "met", title=time.strftime("%Y-%m-%d"))
    for outcome in outcomes:
        for figure in outcome.figures:
            best = "" if figure.best is None else f"{figure.best:.3f}"
            table.add_row(outcome.benchmark, figure.name, figure.goal, f"{figure.value:.3f}", best, figure.met)
        if outcome.failure:
            table.add_row(outcome.benchmark, outcome.failure, "", "", "", "no")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
