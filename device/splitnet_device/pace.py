"""How fast this device computes, from its runs so far: what cannot be done in time is refused at once."""

from splitnet.deadline import Deadline
from splitnet.errors import OverloadedError
from splitnet.runtime import BoundedExecutor
from splitnet.telemetry import Events, SegmentRun
from splitnet_device.backup import BACKUP

# Weight of the newest run in the running mean.
_NEWEST = 0.2

# A caller's own thread computes what is expected to take so small a part of the deadline: a thread that computes
# cannot be called back, so nobody could answer in its place.
_BRIEF = 0.1


class Pace(Events):
    """Seconds that a request takes on the device's compute threads, as a running mean."""

    def __init__(self, executor: BoundedExecutor, workers: int) -> None:
        self._executor = executor
        self._workers = workers
        self._request_s: float | None = None

    def segment_run(self, run: SegmentRun) -> None:
        """Take a run into the mean; the backup model has a thread of its own."""
        if run.segment == BACKUP:
            return
        took_s, mean_s = run.compute_s / run.requests, self._request_s
        self._request_s = took_s if mean_s is None else mean_s + _NEWEST * (took_s - mean_s)

    def check(self, deadline: Deadline) -> None:
        """Refuse a request before whose turn its deadline will have passed.

        One before which nobody waits is never refused: its run shows how fast the device is now.

        Raises:
            OverloadedError: says how long it would wait.
        """
        ahead = self._executor.depth
        wait_s = ahead * (self._request_s or 0.0) / self._workers
        if ahead and wait_s > deadline.remaining_s():
            raise OverloadedError(
                f"{ahead} requests are ahead of it and take about {wait_s * 1e3:.0f} ms, more than its deadline "
                "leaves; ask for less at a time, or give it longer"
            )

    def is_brief(self, deadline: Deadline) -> bool:
        """Whether a run is expected to take a small part of what is left."""
        return self._request_s is not None and self._request_s < _BRIEF * deadline.remaining_s()
