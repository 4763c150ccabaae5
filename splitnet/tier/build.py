"""Making a package ready to be served at the edge or the cloud: segments verified, opened and warm."""

from splitnet.config import CloudConfig, EdgeConfig
from splitnet.package import Package, PlanEntry
from splitnet.runtime import BoundedExecutor, Pipeline, Stage
from splitnet.telemetry import Events
from splitnet.tensors import TensorSpec
from splitnet.tier.above import check_upstream
from splitnet.tier.forward import Upstream, answers_from
from splitnet.tier.plans import VersionPlans
from splitnet.tier.served import ServedModel
from splitnet.tier.shelf import PlanShelf
from splitnet.tier.stages import SegmentLoader, own_stage, stages_up_to
from splitnet.tier.uplink import Uplink
from splitnet.tier.versions import ServedVersion
from splitnet.tiers import Tier

# How long the tier above has to say whether it offers a version.
_ABOVE_S = 5.0
# How long a tier waits, before it says that it is ready, for a link that may not come up.
_WARM_S = 2.0


class VersionBuilder:
    """Builds versions that share one tier's compute threads, its way up and its room for plans."""

    def __init__(
        self,
        tier: Tier,
        config: CloudConfig,
        executor: BoundedExecutor,
        uplink: Uplink | None,
        *,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
    ) -> None:
        """Build nothing yet.

        Args:
            tier: "edge" or "cloud".
            config: of the tier.
            executor: where its segments run.
            uplink: the way to the tier above, None where there is none.
            events: told of the segments' runs.
        """
        self._tier: Tier = tier
        self._config = config
        self._executor = executor
        self._uplink = uplink
        self._events = events
        self._shelf = PlanShelf(config.plan_memory_bytes)

    def first(self, package: Package) -> ServedVersion:
        """Return the version that a tier starts with, its link warm, whether or not the tier above is there.

        Raises:
            PackageError: a segment is missing or altered.
            ModelError: onnxruntime refuses a segment.
            ConfigError: what a wire's coding needs is not installed, or there is no upstream and must be.
        """
        self._check_upstream(package)
        way_up = self._way_up(package, package.manifest.plan)
        version = self._built(package, way_up)
        if way_up is not None:
            way_up.warm_up(_WARM_S)
        return version

    def successor(self, package: Package) -> ServedVersion:
        """Return a version that is to take over (raises as `first` does).

        Raises:
            UnavailableError: the tier above does not offer that version, so that samples would fall back.
            DeadlineExceededError: it did not say so in time.
        """
        self._check_upstream(package)
        way_up = self._way_up(package, package.manifest.plan)
        if way_up is not None:
            way_up.check_offered(_ABOVE_S)
        return self._built(package, way_up)

    def close(self) -> None:
        """Load no more plans."""
        self._shelf.close()

    def _check_upstream(self, package: Package) -> None:
        if isinstance(self._config, EdgeConfig):  # nobody is above any other tier that serves
            check_upstream(package.manifest, self._tier, self._config.upstream)

    def _way_up(self, package: Package, plan: PlanEntry) -> Upstream | None:
        return self._uplink.forward(package.manifest, plan) if self._uplink is not None else None

    def _built(self, package: Package, way_up: Upstream | None) -> ServedVersion:
        manifest, tier = package.manifest, self._tier
        plan, load = manifest.plan, SegmentLoader.of(package, self._config)
        everything = tuple(entry.to_spec() for entry in manifest.model.outputs)
        models = {
            manifest.model.name: self._served(
                package, plan, stages_up_to(package, tier, load), everything, way_up=way_up
            )
        }
        if plan.wire_into(tier) is not None:
            stages = (own_stage(package, tier, load),)
            own = self._served(package, plan, stages, answers_from(manifest, tier), way_up=way_up)
            models[manifest.model_name(tier)] = own
        if len(manifest.plans) == 1:
            return ServedVersion(manifest, models)
        plans = VersionPlans(self._shelf, manifest, tier, lambda other: self._loaded(package, other, load))
        return ServedVersion(manifest, models, plans)

    def _loaded(self, package: Package, plan: PlanEntry, of_default: SegmentLoader) -> ServedModel:
        """Load this tier's part of another plan; what it shares with the default one is there already."""
        manifest, tier = package.manifest, self._tier
        is_shared = manifest.segment_of(tier, plan) == manifest.segment_of(tier)
        load = of_default if is_shared else SegmentLoader.of(package, self._config)
        stages, outputs = (own_stage(package, tier, load, plan),), answers_from(manifest, tier, plan)
        return self._served(package, plan, stages, outputs, way_up=self._way_up(package, plan))

    def _served(
        self,
        package: Package,
        plan: PlanEntry,
        stages: tuple[Stage, ...],
        outputs: tuple[TensorSpec, ...],
        *,
        way_up: Upstream | None,
    ) -> ServedModel:
        pipeline = Pipeline(
            stages,
            outputs,
            self._executor,
            forward=way_up,
            max_batch=self._config.max_batch,
            version=package.manifest.model.version,
            plan=plan.id,
            batching=self._config.batching,
            events=self._events,
        )
        pipeline.warm_up()
        goes_on = plan.wire_from(self._tier) is not None
        return ServedModel(pipeline, outputs, plan.id, goes_on=goes_on, way_up=way_up)
