"""A tier beyond its capacity: it refuses at once what it cannot take, and what it takes waits a bounded time."""

import statistics
from contextlib import closing
from pathlib import Path

from benchmarks.overload import Calls, Client, Overload, Stream, overload, quantile, slow_cloud

SECONDS = 2.5
#: Whose neighbours were busy while the capacity was measured has more of it later.
TIMES = 4.0
#: And whose neighbours come within a try has less, and is later: then the try says nothing.
TRIES = 8
#: The median of many, on a machine with neighbours; `benchmarks/overload.py` holds it to 10 ms.
SOON_MS = 40.0


def assert_bounded(client: Client) -> None:
    """Overload until it is bounded: of the first third of a try is what the rest of it is measured by."""
    tried: list[list[str]] = []
    while not tried or (tried[-1] and len(tried) < TRIES):
        found = overload(client, seconds=SECONDS, times=TIMES)
        assert not found.others
        tried.append([name for name, holds in bounds(found).items() if not holds])
    assert tried[-1] == [], tried


def bounds(found: Overload) -> dict[str, bool]:
    if len(found.refused) <= 0.2 * len(found.accepted):
        return {"what is too much is refused": False}
    soon, accepted = statistics.median(found.refused), statistics.median(found.accepted)
    return {
        "refusals come at once": soon < min(SOON_MS, accepted),
        "the accepted wait no longer than the queue": quantile(found.accepted, 0.99) < 2 * found.longest_ms,
        "the tier goes on": len(found.accepted) / found.seconds > 0.5 * found.capacity_per_s,
    }


def test_refusals_come_at_once_and_the_accepted_wait_no_longer_than_the_queue(tmp_path: Path) -> None:
    with slow_cloud(tmp_path) as channel:
        assert_bounded(Calls(channel))
        with closing(Stream(channel)) as stream:
            assert_bounded(stream)
