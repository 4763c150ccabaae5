"""A device session: submit samples, get answers within their deadlines, whoever answers."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from splitnet.config import DeviceConfig, check_links, load_config
from splitnet.deadline import Deadline
from splitnet.errors import ConfigError, SplitNetError, UnavailableError
from splitnet.link import DeadlineTimer
from splitnet.link.tls import check_files
from splitnet.package import Manifest, open_package
from splitnet.runtime import Answer, BoundedExecutor
from splitnet.telemetry import Events, new_request_id
from splitnet.tensors import Tensors, batch_size
from splitnet.tier import AnswerCache, check_successor
from splitnet_device.asked import Asked
from splitnet_device.checking import Inputs, check_priority, due_after, named
from splitnet_device.hearing import Hearing
from splitnet_device.memory import Memory
from splitnet_device.pace import Pace
from splitnet_device.planning import Planning
from splitnet_device.recovery import Recovery
from splitnet_device.running import Parts, RunningVersion

# A session that is closed gives what is in flight so long to be stood in for, once nobody else is waited for.
_STAND_IN_S = 1.0


class Session:
    """The device's end of a package.

    What the device's exit is sure of is answered here; the rest goes to the tier above. Whatever becomes of that,
    a request ends by its deadline: with that answer, what stands in for it (docs/fallbacks.md) or an error.

    Example:
        with Session("model.split", upstream="192.0.2.7:8001") as session:
            answer = session.infer(tiles)
    """

    def __init__(
        self,
        package: str | Path,
        *,
        upstream: str | Sequence[str] | None = None,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
        **options: Any,  # noqa: ANN401
    ) -> None:
        """Open a package and start connecting to the tier above.

        Args:
            package: directory of the package.
            upstream: HOST:PORT of the tier above, or several; None answers from the device alone.
            events: told of requests, runs of segments, exchanges on the link, plans and kept answers.
            **options: any other field of `splitnet.config.DeviceConfig`, such as `deadline_ms`.

        Raises:
            ConfigError: an option is unknown or out of range, or the link is not protected and must be.
            NotFoundError: there is no package.
            PackageError: the package is damaged, or not signed as it must be.
        """
        config = load_config(DeviceConfig, None, {"package": package, "upstream": upstream, **options})
        # Before anything is opened that would have to be closed again.
        check_links(None, config.upstream, tls=config.tls, plaintext=config.plaintext)
        if config.tls is not None:
            check_files(config.tls)
        opened = open_package(config.package, config.package_key)
        self._config = config
        self._memory = Memory(config, opened.manifest) if config.store is not None else None
        executor = BoundedExecutor(workers=config.workers, limit=config.queue_limit, name="device", events=events)
        self._pace = Pace(executor, config.workers)
        self._planning = Planning(config.adaptive, events)
        self._hearing = Hearing([events, self._pace], self._planning)
        # One for the way up and for what comes after it: alarms go off in the order of their times.
        self._timer = DeadlineTimer("deadlines")
        self._parts = Parts(config, executor, self._hearing, watch=self._hearing.follow, timer=self._timer)
        cache: AnswerCache[Answer] = AnswerCache(config.cache)
        finish = self._memory.remember if self._memory is not None else _unchanged
        self._recovery = Recovery(self._timer, cache, events, finish, self._planning.ended)
        self._loading = threading.Lock()
        # Callbacks of what ends while the session is closed may run on the closing thread, and call `close`.
        self._closing = threading.RLock()
        self._closed = self._ended = False
        try:
            self._planning.adopt(RunningVersion(opened, self._parts))
        except BaseException:
            self._end()
            raise

    @classmethod
    def from_config(cls, config: DeviceConfig, *, events: Events = Events()) -> Self:  # noqa: B008  (as above)
        """Open a session from a validated configuration (raises as `Session` does)."""
        return cls(**config.model_dump(), events=events)

    @property
    def manifest(self) -> Manifest:
        """The manifest of the package that runs."""
        return self._planning.running.manifest

    @property
    def version(self) -> int:
        """The version of the package that runs."""
        return self.manifest.model.version

    @property
    def plan(self) -> str:
        """The id of the plan that requests begin on now."""
        return self._planning.plan.entry.id

    def load(self, package: str | Path, *, timeout_s: float = 10.0) -> None:
        """Go over to another version of the package, while requests come and go.

        Requests that were submitted before end on the version that they began with, later ones run on the new one:
        each answer is of one version, which it names. Whatever goes wrong, the running version goes on.

        Args:
            package: directory of the package; of the same model, with the same inputs and outputs.
            timeout_s: how long the tier above has to say that it offers that version.

        Raises:
            NotFoundError: there is no package.
            PackageError: it is damaged.
            InvalidArgumentError: it is of another model or signature, or another package of the running version.
            UnavailableError: the tier above cannot be reached or does not offer that version: load it there first;
                or the session is closed.
            DeadlineExceededError: the tier above did not say in time.
        """
        with self._loading:
            self._check_open()
            opened = open_package(Path(package), self._config.package_key)
            check_successor(self.manifest, opened.manifest)
            if opened.manifest == self.manifest:
                return
            following = RunningVersion(opened, self._parts)
            following.check_offered(timeout_s)
            self._planning.adopt(following)
            if self._closed:  # meanwhile: the version that ran until then was closed, or this one
                following.close()
                self._check_open()

    def submit(self, inputs: Inputs, *, deadline_ms: float | None = None, priority: int = 0) -> "Future[Answer]":
        """Start a request; any number may be in flight, up to the configured queue limit.

        Args:
            inputs: the model's inputs by name, or the one input itself; the first axis is the samples. They are
                read until the future has ended.
            deadline_ms: milliseconds until an answer is due; the configured default otherwise.
            priority: 1 goes before all others, here and on every tier, 3 and more behind them; 0 is as 2.

        Returns:
            A future that ends with the Answer or with a SplitNetError, 50 ms after the deadline at the latest. It
            can be cancelled until then.

        Raises:
            InvalidArgumentError: the inputs are not the model's, or the deadline is out of range.
            OverloadedError: too many requests are in flight, or more than can be computed before the deadline.
            UnavailableError: the session is closed.
        """
        return self._submit(inputs, deadline_ms, priority, inline=False)

    def infer(self, inputs: Inputs, *, deadline_ms: float | None = None, priority: int = 0) -> Answer:
        """Submit and wait (see `submit`)."""
        return self._submit(inputs, deadline_ms, priority, inline=True).result()

    def feedback(self, sample_id: int, label: int) -> None:
        """Tell the right class of a sample, which the device then learns from; waits until that is on the disk.

        Args:
            sample_id: from an Answer's `ids`: of a sample in the store, from whatever session, or one of the last
                samples of this session, wherever it was answered.
            label: the class; it takes the place of any label that the sample has.

        Raises:
            ConfigError: the session keeps no samples.
            InvalidArgumentError: there is no such class.
            NotFoundError: the sample is not remembered, or no longer.
            DeadlineExceededError: the disk took longer than 10 s.
            OperatorError: the store cannot be written.
        """
        if self._memory is None:
            raise ConfigError("feedback: this session keeps no samples; open it with `store`, a file for them")
        self._memory.feedback(sample_id, label)

    @property
    def emulated_speed(self) -> float | None:
        """The fraction of this machine's speed that the device is emulated at; None if it is not."""
        return self._config.emulated_speed

    def wait_for_link(self, timeout_s: float) -> bool:
        """Wait until the tier above is reached or known to be gone, at most `timeout_s`; return whether it is up.

        Nobody has to: a request that comes before waits for the link within its own deadline.
        """
        return self._parts.uplink.wait_until_known(timeout_s)

    @property
    def connected(self) -> bool:
        """Whether the link to the tier above is up."""
        return self._parts.uplink.connected

    def close(self, *, grace_s: float = 10.0) -> None:
        """Take nothing more, end what is in flight, close the link and free the models.

        Any thread may call this, and again. `version`, `manifest`, `plan`, `connected` and `emulated_speed` can be
        asked afterwards; `submit`, `infer` and `load` raise UnavailableError.

        Args:
            grace_s: seconds that what is in flight has for its answer. Then it ends with what stands in
                (docs/fallbacks.md) or with UnavailableError; a model that hangs is waited for two seconds more.
        """
        self._closed = True
        with self._closing:
            if self._ended:
                return
            self._ended = True
            try:
                wait(self._recovery.open, grace_s)
            finally:  # also where the caller is interrupted
                self._parts.uplink.close()
                wait(self._recovery.open, _STAND_IN_S)
                self._end()
                self._planning.running.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self) -> None:
        self._parts.close()
        self._recovery.close()
        self._planning.close()
        self._timer.close()
        self._hearing.close()
        if self._memory is not None:
            self._memory.close()

    def _submit(
        self, inputs: Inputs, deadline_ms: float | None, priority: int, *, inline: bool
    ) -> "Future[Answer]":
        self._check_open()
        check_priority(priority)
        deadline = due_after(self._config.deadline_ms if deadline_ms is None else deadline_ms)
        asked = self._asked(named(inputs, self.manifest), deadline)
        try:
            self._pace.check(asked.deadline)
            answer = asked.plan.pipeline.submit(
                asked.inputs,
                asked.deadline,
                priority=priority,
                inline=inline and self._pace.is_brief(asked.deadline),
                request_id=asked.id,
            )
        except SplitNetError as err:
            self._recovery.end(asked, None, err)
            raise
        return self._recovery.follow(asked, answer)

    def _check_open(self) -> None:
        if self._closed:
            raise UnavailableError("the session is closed; open another one")

    def _asked(self, inputs: Tensors, deadline: Deadline) -> Asked:
        """Settle on version and plan, once: another may be loaded or chosen at any moment."""
        samples = batch_size(self._planning.running.default.pipeline.incoming, inputs)
        running, plan = self._planning.choose(self._recovery.in_flight + 1, samples)
        return Asked(new_request_id(), inputs, samples, deadline, time.monotonic(), running, plan)


def _unchanged(_inputs: Tensors, answer: Answer) -> Answer:
    return answer
