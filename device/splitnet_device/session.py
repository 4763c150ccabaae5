"""A device session: submit samples, get answers within their deadlines, whoever answers."""

from collections.abc import Mapping
from concurrent.futures import Future, wait
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from splitnet.config import DeviceConfig, load_config
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError
from splitnet.link import StreamClient
from splitnet.package import Manifest, open_package
from splitnet.runtime import Answer, BoundedExecutor, Pipeline
from splitnet.tensors import Array
from splitnet.tier import SegmentLoader, Upstream, own_stage, warm_up

# As in the configuration; an infinite one would be nobody's deadline.
_LONGEST_DEADLINE_MS = 3_600_000


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
        self.manifest: Manifest = opened.manifest
        self._config = config
        self._open: set[Future[Answer]] = set()
        stage = own_stage(opened, "device", SegmentLoader(opened, emulated_speed=config.emulated_speed))
        warm_up([stage])
        self._link: StreamClient | None = None
        if config.upstream is not None and stage.outgoing:
            self._link = StreamClient(
                config.upstream, max_message_bytes=config.max_message_bytes, window=config.window
            )
        self._executor = BoundedExecutor(workers=config.workers, limit=config.queue_limit, name="device")
        self._pipeline = Pipeline(
            [stage],
            [entry.to_spec() for entry in self.manifest.model.outputs],
            self._executor,
            forward=self._upstream(),
            answer_late=True,
            max_batch=config.max_batch,
        )

    def _upstream(self) -> Upstream | None:
        if self._link is None:
            return None
        return Upstream(self._link, self.manifest, "device", emulated_speed=self._config.emulated_speed)

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
        if not isinstance(inputs, Mapping):
            names = [entry.name for entry in self.manifest.model.inputs]
            if len(names) != 1:
                raise InvalidArgumentError(f"the model has inputs {names}; pass a mapping by name")
            inputs = {names[0]: inputs}
        limit_ms = self._config.deadline_ms if deadline_ms is None else deadline_ms
        if not 0 < limit_ms <= _LONGEST_DEADLINE_MS:
            raise InvalidArgumentError(
                f"deadline_ms: expected more than 0, at most {_LONGEST_DEADLINE_MS}; got {limit_ms}"
            )
        future = self._pipeline.submit(dict(inputs), Deadline.after_ms(limit_ms))
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def infer(self, inputs: Array | Mapping[str, Array], *, deadline_ms: float | None = None) -> Answer:
        """Submit and wait (see `submit`)."""
        return self.submit(inputs, deadline_ms=deadline_ms).result()

    @property
    def emulated_speed(self) -> float | None:
        """The fraction of this machine's speed that the device is emulated at; None if it is not."""
        return self._config.emulated_speed

    def wait_for_link(self, timeout_s: float) -> bool:
        """Wait until the tier above is reached or known to be gone, at most `timeout_s`; return whether it is up.

        Nobody has to: a request that comes before waits for the link within its own deadline.
        """
        return self._link is not None and self._link.wait_until_known(timeout_s)

    @property
    def connected(self) -> bool:
        """Whether the link to the tier above is up."""
        return self._link is not None and self._link.connected

    def close(self) -> None:
        """Wait for what is in flight, and close the link.

        What waits for the tier above ends by its deadline; what is still to be computed here is computed,
        since nobody else can answer it.
        """
        wait(self._open.copy())
        self._executor.close()
        if self._link is not None:
            self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
