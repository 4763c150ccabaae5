"""A device session: submit samples, get answers within their deadlines, whoever answers."""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from splitnet.config import DeviceConfig, load_config
from splitnet.deadline import Deadline
from splitnet.errors import ConfigError, InvalidArgumentError
from splitnet.package import Manifest, Package, open_package
from splitnet.runtime import Answer, BoundedExecutor, Pipeline, Stage
from splitnet.tensors import Array
from splitnet.tier import SegmentLoader, Uplink, Upstream, check_successor, own_stage, warm_up
from splitnet_device.memory import Memory

# As in the configuration; an infinite one would be nobody's deadline.
_LONGEST_DEADLINE_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class _Version:
    """A package as the device runs it."""

    manifest: Manifest
    pipeline: Pipeline


class Session:
    """The device's end of a package.

    What the device's exit is sure of is answered here; the rest goes to the tier above, and comes back
    as that exit's answer, marked as a fallback, when no better one comes in time.

    Example:
        with Session("model.split", upstream="192.0.2.7:8001") as session:
            answer = session.infer(tiles)
    """

    def __init__(self, package: str | Path, *, upstream: str | None = None, **options: Any) -> None:  # noqa: ANN401
        """Open a package and start connecting to the tier above.

        Args:
            package: directory of the package.
            upstream: HOST:PORT of the tier above; None answers from the device alone.
            **options: any other field of `splitnet.config.DeviceConfig`, such as `deadline_ms`.

        Raises:
            ConfigError: an option is unknown or out of range.
            NotFoundError: there is no package.
            PackageError: the package is damaged.
        """
        config = load_config(DeviceConfig, None, {"package": package, "upstream": upstream, **options})
        opened = open_package(config.package)
        self._config = config
        self._open: set[Future[Answer]] = set()
        stage = self._stage(opened)
        self._memory = Memory(config, opened.manifest) if config.store is not None else None
        self._uplink = Uplink("device", config)
        self._executor = BoundedExecutor(workers=config.workers, limit=config.queue_limit, name="device")
        self._loading = threading.Lock()
        self._running = self._version(opened.manifest, stage, self._uplink.forward(opened.manifest))

    @property
    def manifest(self) -> Manifest:
        """The manifest of the package that runs."""
        return self._running.manifest

    @property
    def version(self) -> int:
        """The version of the package that runs."""
        return self._running.manifest.model.version

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
            UnavailableError: the tier above cannot be reached or does not offer that version: load it there first.
            DeadlineExceededError: the tier above did not say in time.
        """
        with self._loading:
            opened = open_package(Path(package))
            check_successor(self.manifest, opened.manifest)
            if opened.manifest == self.manifest:
                return
            stage = self._stage(opened)
            way_up = self._uplink.forward(opened.manifest)
            if way_up is not None:
                way_up.check_offered(timeout_s)
            self._running = self._version(opened.manifest, stage, way_up)

    def _stage(self, package: Package) -> Stage:
        """Return the device's stage of `package`, verified, loaded and warm."""
        stage = own_stage(package, "device", SegmentLoader(package, emulated_speed=self._config.emulated_speed))
        warm_up([stage])
        return stage

    def _version(self, manifest: Manifest, stage: Stage, way_up: Upstream | None) -> _Version:
        pipeline = Pipeline(
            [stage],
            [entry.to_spec() for entry in manifest.model.outputs],
            self._executor,
            forward=way_up,
            answer_late=True,
            max_batch=self._config.max_batch,
            version=manifest.model.version,
        )
        return _Version(manifest, pipeline)

    @classmethod
    def from_config(cls, config: DeviceConfig) -> Self:
        """Open a session from a validated configuration (raises as `Session` does)."""
        return cls(**config.model_dump())

    def submit(self, inputs: Array | Mapping[str, Array], *, deadline_ms: float | None = None) -> "Future[Answer]":
        """Start a request; any number may be in flight, up to the configured queue limit.

        Args:
            inputs: the model's inputs by name, or the one input itself; the first axis is the samples.
            deadline_ms: milliseconds until an answer is due; the configured default otherwise.

        Returns:
            A future that ends with the Answer, or with a SplitNetError where neither the tiers above nor an
            exit on this device could answer.

        Raises:
            InvalidArgumentError: the inputs are not the model's, or the deadline is out of range.
            OverloadedError: too many requests are in flight.
        """
        running = self._running  # once: a load may put another in its place at any moment
        if not isinstance(inputs, Mapping):
            names = [entry.name for entry in running.manifest.model.inputs]
            if len(names) != 1:
                raise InvalidArgumentError(f"the model has inputs {names}; pass a mapping by name")
            inputs = {names[0]: inputs}
        limit_ms = self._config.deadline_ms if deadline_ms is None else deadline_ms
        if not 0 < limit_ms <= _LONGEST_DEADLINE_MS:
            raise InvalidArgumentError(
                f"deadline_ms: expected more than 0, at most {_LONGEST_DEADLINE_MS}; got {limit_ms}"
            )
        tensors = dict(inputs)
        future = running.pipeline.submit(tensors, Deadline.after_ms(limit_ms))
        if self._memory is not None:
            future = self._memory.watch(tensors, future)
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def infer(self, inputs: Array | Mapping[str, Array], *, deadline_ms: float | None = None) -> Answer:
        """Submit and wait (see `submit`)."""
        return self.submit(inputs, deadline_ms=deadline_ms).result()

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
        return self._uplink.wait_until_known(timeout_s)

    @property
    def connected(self) -> bool:
        """Whether the link to the tier above is up."""
        return self._uplink.connected

    def close(self) -> None:
        """Wait for what is in flight, and close the link.

        What waits for the tier above ends by its deadline; what is still to be computed here is computed,
        since nobody else can answer it.
        """
        wait(self._open.copy())
        self._executor.close()
        self._uplink.close()
        if self._memory is not None:
            self._memory.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
