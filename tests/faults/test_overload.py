"""A tier beyond its capacity: it refuses at once what it cannot take, and what it takes waits a bounded time."""

import statistics
from contextlib import closing
from pathlib import Path

from benchmarks.overload import Calls, Overload, Stream, overload, quantile, slow_cloud

SECONDS = 2.5
#: Whose neighbours were busy while the capacity was measured has more of it later.
TIMES = 4.0
#: The median of many, on a machine with neighbours; `benchmarks/overload.py` holds it to 10 ms.
SOON_MS = 40.0


def assert_bounded(found: Overload) -> None:
    assert not found.others
    assert len(found.refused) > 0.2 * len(found.accepted)
    assert statistics.median(found.refused) < SOON_MS
    assert statistics.median(found.refused) < statistics.median(found.accepted)
    assert quantile(found.accepted, 0.99) < 2 * found.longest_ms
    assert len(found.accepted) / found.seconds > 0.5 * found.capacity_per_s


def test_refusals_come_at_once_and_the_accepted_wait_no_longer_than_the_queue(tmp_path: Path) -> None:
    with slow_cloud(tmp_path) as channel:
        assert_bounded(overload(Calls(channel), seconds=SECONDS, times=TIMES))
        with closing(Stream(channel)) as stream:
            assert_bounded(overload(stream, seconds=SECONDS, times=TIMES))
