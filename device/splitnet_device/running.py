"""A version of the package as the device runs it: its plans, each loaded when it is first wanted."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from splitnet.config import DeviceConfig
from splitnet.deadline import Deadline
from splitnet.errors import UnavailableError
from splitnet.link import DeadlineTimer
from splitnet.package import Manifest, Package, PlanEntry
from splitnet.runtime import Answer, BoundedExecutor, Forward, Pipeline
from splitnet.telemetry import Events
from splitnet.tensors import Tensors, batch_size
from splitnet.tier import SegmentLoader, Uplink, Upstream, own_stage
from splitnet.tier.stages import plans_that_fit
from splitnet_device.backup import Backup

# What a segment may still take when the session ends: its request has ended before.
_LAST_SEGMENT_S = 2.0

#: Watches a request that goes up: by which plan, how many samples, and its answer.
Watch = Callable[[str, int, "Future[Answer]"], None]


class Parts:
    """What all versions and plans of a session share: threads that compute, and the way up."""

    def __init__(
        self,
        config: DeviceConfig,
        executor: BoundedExecutor,
        events: Events,
        *,
        watch: Watch,
        timer: DeadlineTimer,
    ) -> None:
        """Take note.

        Args:
            config: the session's.
            executor: where segments run.
            events: told of the segments' runs and of the link.
            watch: called with each request that goes up.
            timer: the session's.
        """
        self.config = config
        self.executor = executor
        self.events = events
        self.watch = watch
        self.uplink = Uplink("device", config, events=events, timer=timer)
        self._backups: BoundedExecutor | None = None

    def backup_of(self, package: Package) -> Backup | None:
        """Return the backup model of `package`, loaded and warm, if it has one; call from one thread at a time."""
        if package.manifest.backup is None:
            return None
        if self._backups is None:
            self._backups = BoundedExecutor(workers=1, limit=self.config.queue_limit, name="backup")
        return Backup.of(package, self.config, self._backups, self.events)

    def close(self) -> None:
        """Stop computing, which is for nobody any more, and close the link.

        A segment that runs is waited for a moment, and then left to its thread, a daemon.
        """
        for executor in (self.executor, self._backups):
            if executor is not None:
                executor.close(drop=True, timeout_s=_LAST_SEGMENT_S)
        self.uplink.close()


@dataclass(frozen=True, slots=True, eq=False)
class RunningPlan:
    """A plan that is loaded and warm.

    Attributes:
        entry: the manifest's.
        pipeline: the device's part of it.
        has_answer: whether this device has an answer of its own in hand for every sample that it has computed.
    """

    entry: PlanEntry
    pipeline: Pipeline
    has_answer: bool


class RunningVersion:
    """One version of the package; thread-safe."""

    def __init__(self, package: Package, parts: Parts) -> None:
        """Load and warm the default plan, and the backup model where a plan leaves the device without an answer.

        Raises:
            PackageError: a file is missing or altered.
            ModelError: onnxruntime refuses a segment.
            ConfigError: what a wire's coding needs is not installed.
            UnavailableError: the session is closed.
        """
        self._package = package
        self._parts = parts
        self._lock = threading.Lock()
        self._prepared: dict[str, RunningPlan] = {}
        self._closed = False
        self._load = SegmentLoader.of(package, parts.config)
        self.plans = plans_that_fit(package.manifest, "device", parts.config.plan_memory_bytes)
        self.default = self.prepare(package.manifest.plan.id)
        alone = all(_has_answer(package.manifest, plan) for plan in self.plans)
        self._backup = None if alone else parts.backup_of(package)

    @property
    def manifest(self) -> Manifest:
        """The package's."""
        return self._package.manifest

    def prepare(self, plan_id: str) -> RunningPlan:
        """Return a plan loaded and warm; raises as opening does, where it was not prepared before."""
        if (prepared := self._prepared.get(plan_id)) is not None:
            return prepared
        with self._lock:
            if plan_id not in self._prepared:
                self._prepared[plan_id] = self._built(self.manifest.plan_of(plan_id))
                if self._closed:  # meanwhile
                    self._prepared[plan_id].pipeline.close()
            return self._prepared[plan_id]

    def close(self) -> None:
        """Free all models, whoever still refers to this: to its plans a request's future does as well."""
        self._closed = True
        for plan in list(self._prepared.values()):
            plan.pipeline.close()
        if self._backup is not None:
            self._backup.close()

    def make_ready(self, plan_id: str, timeout_s: float) -> bool:
        """Prepare a plan here and have the tier above do so; return whether it answers for the plan now.

        Raises:
            SplitNetError: see `prepare`.
            UnavailableError: the tier above cannot be reached.
            DeadlineExceededError: it said nothing within `timeout_s` seconds.
        """
        self.prepare(plan_id)
        above = self._parts.uplink.forward(self.manifest, self.manifest.plan_of(plan_id))
        return above is None or above.is_offered(timeout_s)

    def check_offered(self, timeout_s: float) -> None:
        """Ask the tier above whether it answers for the default plan (raises as `Upstream.check_offered`)."""
        if (above := self._parts.uplink.forward(self.manifest)) is not None:
            above.check_offered(timeout_s)

    def is_reached(self, timeout_s: float) -> bool:
        """Whether the tier above is; waits for the end of the first attempt, at most `timeout_s` seconds."""
        return self._parts.uplink.wait_until_known(timeout_s)

    def probe(self, nbytes: int, timeout_s: float, plan_id: str | None = None) -> bool | None:
        """Send so many bytes that mean nothing up, and wait until the tier above has had them.

        Args:
            nbytes: how many.
            timeout_s: how long that may take, seconds.
            plan_id: the plan that is asked about; None asks nothing.

        Returns:
            Whether a request by that plan would find all that it needs; None where that is not asked or said.

        Raises:
            SplitNetError: it has not, or takes no such.
        """
        plans = self.plans if plan_id is None else [self.manifest.plan_of(plan_id)]
        ways = (self._parts.uplink.forward(self.manifest, plan) for plan in plans)
        above = next((way for way in ways if way is not None), None)
        if above is None:
            raise UnavailableError("no tier above is configured")
        return above.probe(nbytes, timeout_s, asks=plan_id is not None)

    def backup_of(self, plan: RunningPlan) -> Backup | None:
        """Return the backup model where `plan` may need it."""
        return None if plan.has_answer else self._backup

    def _built(self, plan: PlanEntry) -> RunningPlan:
        config, manifest = self._parts.config, self.manifest
        stage = own_stage(self._package, "device", self._load, plan)
        above = self._parts.uplink.forward(manifest, plan)
        pipeline = Pipeline(
            [stage],
            [entry.to_spec() for entry in manifest.model.outputs],
            self._parts.executor,
            forward=_watched(above, plan, self._parts.watch) if above is not None else None,
            max_batch=config.max_batch,
            version=manifest.model.version,
            plan=plan.id,
            batching=config.batching,
            events=self._parts.events,
        )
        pipeline.warm_up()
        return RunningPlan(plan, pipeline, _has_answer(manifest, plan))


def _watched(upstream: Upstream, plan: PlanEntry, watch: Watch) -> Forward:
    wire = plan.wire_from("device")
    assert wire is not None

    def forward(
        tensors: Tensors, deadline: Deadline, *, request_id: str = "", priority: int = 0
    ) -> "Future[Answer]":
        above = upstream(tensors, deadline, request_id=request_id, priority=priority)
        watch(plan.id, batch_size(wire.specs, tensors), above)
        return above

    return forward


def _has_answer(manifest: Manifest, plan: PlanEntry) -> bool:
    segment = manifest.segment_of("device", plan)
    return plan.wire_from("device") is None or (segment is not None and manifest.exit_of(segment.id) is not None)
