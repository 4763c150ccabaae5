"""How long to wait before the next attempt: longer each time, and never in step with others."""

import random


class Backoff:
    """Pauses that grow exponentially, with full jitter: each is drawn from 0 to its bound.

    Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: of the forms of jitter, this one
    costs a recovering server the fewest attempts.
    """

    def __init__(self, first_s: float, most_s: float, random_source: random.Random) -> None:
        """Begin.

        Args:
            first_s: bound of the first pause, seconds.
            most_s: largest bound, seconds.
            random_source: draws the pauses.
        """
        self._first_s = min(first_s, most_s)
        self._most_s = most_s
        self._bound_s = self._first_s
        self._random = random_source

    def next_s(self) -> float:
        """Return the next pause, seconds, and double the bound of the one after it."""
        pause_s = self._random.uniform(0.0, self._bound_s)
        self._bound_s = min(2 * self._bound_s, self._most_s)
        return pause_s

    def reset(self) -> None:
        """Begin anew: the attempt was of use."""
        self._bound_s = self._first_s
