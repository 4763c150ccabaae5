"""The device program: sends a file's samples through a session and gathers what comes back."""

import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path

import numpy as np

from splitnet.config import DeviceConfig
from splitnet.errors import ConfigError, OverloadedError, SplitNetError
from splitnet.package import Manifest
from splitnet.runtime import Answer, settle
from splitnet.samples import Samples, read_samples
from splitnet.tensors import Tensors
from splitnet.tier.telling import telling
from splitnet_device.hangup import following_versions
from splitnet_device.report import Outcome, Report, summarise
from splitnet_device.session import Session

logger = logging.getLogger(__name__)

# How long a run waits for the link before its first sample; then the samples' own deadlines count.
_CONNECT_S = 5.0

_MOST_COMPLAINTS = 20

OnStart = Callable[[int], None]
OnOutcome = Callable[[Outcome], None]


class Run:
    """One pass over a file's samples, at most `in_flight` of them at a time."""

    def __init__(self, session: Session, samples: Samples, in_flight: int, on_outcome: OnOutcome) -> None:
        self._session = session
        self._samples = samples
        self._slots = threading.Semaphore(in_flight)
        self._in_flight = in_flight
        self._on_outcome = on_outcome
        self._class_output = _class_output(session.manifest)
        self._outcomes: list[Outcome | None] = [None] * samples.count
        self._complaints: set[str] = set()
        self.answers: list[Answer | None] = [None] * samples.count

    def execute(self) -> Report:
        """Send every sample and wait for all ends."""
        start = time.perf_counter()
        for index in range(self._samples.count):
            self._slots.acquire()
            self._send(index)
        for _ in range(self._in_flight):
            self._slots.acquire()
        seconds = time.perf_counter() - start
        outcomes = [outcome for outcome in self._outcomes if outcome is not None]
        assert len(outcomes) == self._samples.count, "a sample has no end"
        labels = self._samples.labels if self._class_output is not None else None
        return summarise(outcomes, labels, seconds, emulated_speed=self._session.emulated_speed)

    def _send(self, index: int) -> None:
        start = time.perf_counter()
        try:
            future = self._session.submit(self._samples.take([index]))
        except OverloadedError as err:
            future = Future()
            future.set_exception(err)
        future.add_done_callback(lambda done: self._ended(index, start, done))

    def _ended(self, index: int, start: float, future: "Future[Answer]") -> None:
        latency_ms = (time.perf_counter() - start) * 1e3
        try:
            outcome = self._outcome(index, latency_ms, future)
            self._outcomes[index] = outcome
            self._on_outcome(outcome)
        finally:
            # Whatever went wrong above, the run must not wait for this sample for ever.
            self._slots.release()

    def _outcome(self, index: int, latency_ms: float, future: "Future[Answer]") -> Outcome:
        error = future.exception()
        if error is not None:
            self._complain(index, str(error) if isinstance(error, SplitNetError) else repr(error))
            return Outcome(None, "", latency_ms)
        answer = future.result()
        self.answers[index] = answer
        return Outcome(answer.exits[0], answer.fallbacks[0], latency_ms, self._predicted(answer))

    def _complain(self, index: int, text: str) -> None:
        """Log each kind of failure once: where one sample fails, thousands may."""
        if text not in self._complaints and len(self._complaints) < _MOST_COMPLAINTS:
            self._complaints.add(text)
            logger.warning("sample %d: %s (said once)", index, text)

    def _predicted(self, answer: Answer) -> int | None:
        if self._class_output is None:
            return None
        return int(np.argmax(answer.outputs[self._class_output][0]))


def run(
    config: DeviceConfig,
    source: Path,
    *,
    output: Path | None = None,
    limit: int | None = None,
    on_start: OnStart = lambda _count: None,
    on_outcome: OnOutcome = lambda _outcome: None,
) -> Report:
    """Send the samples of a file one by one and report.

    Args:
        config: the package, the tier above, deadline and how many samples are in flight.
        source: an `.npz` file; see `read_samples`.
        output: where to write the answers: an `.npz` with the model's outputs, `exits` and `fallbacks`, and `ids`
            where samples are kept.
        limit: use the first so many samples.
        on_start: called with the number of samples before the first is sent.
        on_outcome: called at each sample's end, from another thread.

    Raises:
        SplitNetError: the package, the file or the output cannot be used.
    """
    with telling("device", config) as events, Session.from_config(config, events=events) as session:
        specs = tuple(entry.to_spec() for entry in session.manifest.model.inputs)
        samples = read_samples(source, specs, limit=limit)
        session.wait_for_link(_CONNECT_S)
        settle()
        on_start(samples.count)
        this_run = Run(session, samples, config.in_flight, on_outcome)
        with following_versions(session, config.package, key=config.package_key):
            report = this_run.execute()
    if output is not None:
        _write_answers(output, session.manifest, this_run.answers)
    return report


def _class_output(manifest: Manifest) -> str | None:
    """The output whose largest entry is the predicted class: the first of shape [batch, classes]."""
    return next((entry.name for entry in manifest.model.outputs if len(entry.shape) == 2), None)


def _write_answers(path: Path, manifest: Manifest, answers: list[Answer | None]) -> None:
    """Write all answers; a sample without one gets zeros and an empty `exits` entry, and 0 for its id."""
    arrays: Tensors = {
        "exits": np.array([answer.exits[0] if answer else "" for answer in answers]),
        "fallbacks": np.array([answer.fallbacks[0] if answer else "" for answer in answers]),
    }
    if any(answer.ids for answer in answers if answer):
        arrays["ids"] = np.array([answer.ids[0] if answer and answer.ids else 0 for answer in answers], np.int64)
    for entry in manifest.model.outputs:
        empty = np.zeros([size if isinstance(size, int) else 1 for size in entry.shape], entry.dtype)
        arrays[entry.name] = np.concatenate(
            [answer.outputs[entry.name] if answer else empty for answer in answers]
        )
    try:
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                np.savez_compressed(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as err:
        raise ConfigError(f"{path}: cannot be written: {err.strerror}") from err
