"""What retries may cost: a share of the requests sent, so that they never double a load that is too high."""

import threading


class RetryBudget:
    """A bucket of tokens: each request adds a share of one, each retry takes one."""

    def __init__(self, share: float, most: int) -> None:
        """Begin with a full bucket.

        Args:
            share: of a retry, that a request adds; 0 allows no retry at all.
            most: retries that may follow at once.
        """
        self._share = share
        self._most = float(most) if share > 0 else 0.0
        self._tokens = self._most
        self._lock = threading.Lock()

    def note_request(self) -> None:
        """Add what a request allows."""
        with self._lock:
            self._tokens = min(self._tokens + self._share, self._most)

    def take(self, *, leave: float = 0.0) -> bool:
        """Take a retry, if there is one beyond the share of the bucket that is to be left."""
        with self._lock:
            if self._tokens < 1.0 + leave * self._most:
                return False
            self._tokens -= 1.0
            return True
