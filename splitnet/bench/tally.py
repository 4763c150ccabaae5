"""Tally: what became of the samples, counted as they end."""

import threading
import time
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from splitnet.errors import SplitNetError
from splitnet.runtime import Answer


class Tally:
    """Counts ends of samples, on whichever threads they come.

    Attributes:
        answers: samples that were answered.
        errors: samples that were not.
        exits: answered samples by the tier that answered; "" where a foreign server did not say.
        fallbacks: those of them for which a shallower exit stood in, by the tier that answered.
        first_error: why the first that failed did; "" while none has.
    """

    def __init__(self, labels: NDArray[np.integer] | None = None, class_output: str | None = None) -> None:
        """Begin at nothing.

        Args:
            labels: `[samples]` integers, or None.
            class_output: the output of shape [batch, classes] whose largest entry is the predicted class, or None.
        """
        self._labels = labels
        self._class_output = class_output
        self._lock = threading.Lock()
        self._right = 0
        self._first_s: float | None = None
        self._last_s = 0.0
        self.answers = 0
        self.errors = 0
        self.exits: Counter[str] = Counter()
        self.fallbacks: Counter[str] = Counter()
        self.first_error = ""

    def begin(self) -> None:
        """Note that a sample is sent; the first starts the clock."""
        if self._first_s is None:
            self._first_s = time.perf_counter()

    def end(self, index: int, answer: Answer) -> None:
        """Count an answer to the sample `index`."""
        right = self._is_right(index, answer)
        with self._lock:
            self._last_s = time.perf_counter()
            self.answers += 1
            self._right += right
            self.exits[answer.exits[0]] += 1
            if answer.fallbacks[0]:
                self.fallbacks[answer.exits[0]] += 1

    def fail(self, error: BaseException) -> None:
        """Count a sample without an answer."""
        with self._lock:
            self._last_s = time.perf_counter()
            self.errors += 1
            self.first_error = self.first_error or (
                str(error) if isinstance(error, SplitNetError) else repr(error)
            )

    @property
    def ended(self) -> int:
        """Samples that have ended, either way."""
        return self.answers + self.errors

    @property
    def seconds(self) -> float:
        """From the first sample's start to the last end."""
        return self._last_s - self._first_s if self.ended and self._first_s is not None else 0.0

    @property
    def accuracy(self) -> float | None:
        """Share of all samples answered with their label; None without labels, a class output or samples."""
        if self._labels is None or self._class_output is None or not self.ended:
            return None
        return self._right / self.ended

    def _is_right(self, index: int, answer: Answer) -> bool:
        if self._labels is None or self._class_output is None:
            return False
        return int(np.argmax(answer.outputs[self._class_output][0])) == int(self._labels[index])
