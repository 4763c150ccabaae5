"""The fault matrix: each fault in each place, under load, and what it did; `python -m tests.faults.matrix`."""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from tests.faults.cases import Case, all_cases
from tests.faults.load import Load, Request
from tests.faults.package import Asked, make
from tests.faults.pauses import Pauses
from tests.faults.site import Site

DEADLINE_MS = 300.0
#: What an answer may take beyond its deadline, and service to return, on a machine that never pauses.
LATE_S, RECOVERY_S = 0.05, 2.0
#: Requests in a row that must be served for the service to be back.
_IN_A_ROW = 5
_GIVE_UP_S = 10.0
_COMPLAINTS = 10
# Of the table where it goes to a file.
_WIDTH = 130


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the requests of one case.

    Attributes:
        fault: what failed.
        where: and where.
        requests: made.
        lost: that never ended, ended twice, ended with an error or with an answer to another question.
        complaints: of what some of the lost came to, at most ten.
        unmarked: answered as usual while that could not be: the fault was in force all the time.
        fallbacks: answers that stood in, by tier and reason, such as "device UNAVAILABLE".
        slowest_ms: the longest that a request took.
        late_ms: the most that an answer was late by, the machine's own pauses taken off; negative: never late.
        recovery_ms: from the mending to the answer of the first request of some in a row that were served, the
            machine's own pauses taken off; None if they never were.
    """

    fault: str
    where: str
    requests: int
    lost: int
    complaints: tuple[str, ...]
    unmarked: int
    fallbacks: dict[str, int]
    slowest_ms: float
    late_ms: float
    recovery_ms: float | None

    @property
    def held(self) -> bool:
        """Whether all that was promised held."""
        recovered = self.recovery_ms is not None and self.recovery_ms <= RECOVERY_S * 1e3
        return not self.lost and not self.unmarked and self.late_ms <= LATE_S * 1e3 and recovered


def try_case(case: Case, site: Site, asked: Asked, *, fault_s: float, first: int = 0) -> Outcome:
    """Let one thing fail for a while under load, mend it, and wait until the service is back.

    Args:
        case: what fails.
        site: where.
        asked: what is asked.
        fault_s: for how long.
        first: the sample to begin with.

    Raises:
        AssertionError: the service was not there to begin with.
    """
    with Pauses() as pauses, Load(site.session, asked, deadline_ms=DEADLINE_MS, first=first) as load:
        assert load.wait_until_served(0, times=_IN_A_ROW, timeout_s=_GIVE_UP_S) is not None, "no service"
        case.begin(site)
        begun_s, begun = time.monotonic(), len(load.requests)
        time.sleep(fault_s)  # a fault lasts: this is the load's time, not a wait for something
        last = len(load.requests)
        ending_s = time.monotonic()
        case.end(site)
        ended_s, mended = time.monotonic(), len(load.requests)
        back_s = load.wait_until_served(mended, times=_IN_A_ROW, timeout_s=_GIVE_UP_S)
    # A request whose time was over before the mending began cannot have been served.
    during = [each for each in load.requests[begun:last] if each.start_s + DEADLINE_MS / 1e3 < ending_s]
    assert during, f"no request within {ending_s - begun_s:.1f} s"
    recovery_s = None if back_s is None else back_s - ended_s - pauses.between(ended_s, back_s)
    return _outcome(case, load.requests, during, pauses, recovery_s)


def _outcome(
    case: Case, requests: Sequence[Request], during: Sequence[Request], pauses: Pauses, recovery_s: float | None
) -> Outcome:
    ended = [each for each in requests if each.ends_s]
    lost = [each.complaint for each in requests if each.complaint]
    unmarked = [each for each in during if each.served] if case.meanwhile == "fallbacks" else []
    return Outcome(
        fault=case.name,
        where=case.where,
        requests=len(requests),
        lost=len(lost),
        complaints=tuple(sorted(set(lost))[:_COMPLAINTS]),
        unmarked=len(unmarked),
        fallbacks=dict(Counter(f"{each.tier} {each.reason}" for each in ended if each.reason)),
        slowest_ms=1e3 * max(each.took_s for each in ended),
        late_ms=1e3 * max(_late_s(each, pauses) for each in ended),
        recovery_ms=None if recovery_s is None else max(0.0, 1e3 * recovery_s),
    )


def _late_s(request: Request, pauses: Pauses) -> float:
    """Return how much later than its deadline an answer came, less what the machine paused in that time."""
    due_s = request.start_s + DEADLINE_MS / 1e3
    return request.ends_s[0] - due_s - pauses.between(due_s, request.ends_s[0])


class Bench:
    """A site that cases are tried on one after the other; after one that it did not recover from, a new one."""

    def __init__(self, asked: Asked, folder: Path) -> None:
        """Take note of what is asked, and of where the tiers' logs go."""
        self._asked = asked
        self._folder = folder
        self._made = 0
        self._stack = ExitStack()
        self._site: Site | None = None

    def try_case(self, case: Case, *, fault_s: float) -> Outcome:
        """Let one thing fail for `fault_s` seconds and return what that did."""
        if self._site is None:
            self._site = self._stack.enter_context(Site(self._asked.package, self._folder))
        outcome = try_case(case, self._site, self._asked, fault_s=fault_s, first=self._made)
        self._made += outcome.requests
        if outcome.recovery_ms is None:
            self.close()
        return outcome

    def logged(self) -> str:
        """Return what the tiers have written to standard error so far."""
        return "" if self._site is None else self._site.logged()

    def close(self) -> None:
        """Stop what runs."""
        self._stack.close()
        self._site = None


def main() -> None:
    """Try every case and print the table; exit code 1 where something promised did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.matrix", description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0, metavar="N", help="how long each fault lasts")
    parser.add_argument("--only", default="", metavar="TEXT", help="cases whose fault or place holds this text")
    parser.add_argument("--json", action="store_true", help="print one JSON object a case")
    options = parser.parse_args()
    cases = [case for case in all_cases() if options.only in f"{case.name} {case.where}"]
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    outcomes = []
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(Bench(make(Path(folder)), Path(folder))) as bench,
        Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress,
    ):
        task = progress.add_task("faults", total=len(cases))
        for case in cases:
            progress.update(task, description=f"{case.name}, {case.where}")
            outcomes.append(bench.try_case(case, fault_s=options.seconds))
            progress.advance(task)
    _print(outcomes, as_json=options.json)
    sys.exit(not all(outcome.held for outcome in outcomes))


def _print(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    if as_json:
        for outcome in outcomes:
            sys.stdout.write(json.dumps({**asdict(outcome), "held": outcome.held}) + "\n")
        return
    table = Table(
        "fault", "where", "requests", "fallbacks", "lost", "slowest, ms", "late, ms", "back after, ms", ""
    )
    for each in outcomes:
        fallbacks = "\n".join(f"{who} {count}" for who, count in sorted(each.fallbacks.items())) or "none"
        back = "never" if each.recovery_ms is None else f"{each.recovery_ms:.0f}"
        verdict = "held" if each.held else "[red]not held[/]"
        row = (each.fault, each.where, f"{each.requests}", fallbacks, f"{each.lost + each.unmarked}")
        table.add_row(*row, f"{each.slowest_ms:.0f}", f"{each.late_ms:.0f}", back, verdict)
    console = Console()
    for complaint in {complaint for each in outcomes for complaint in each.complaints}:
        console.print(complaint, style="red")
    console.print(table, width=None if console.is_terminal else _WIDTH)


if __name__ == "__main__":
    main()
