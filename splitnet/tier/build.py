"""Making a package ready to be served at the edge or the cloud: segments verified, opened and warm."""

from splitnet.config import CloudConfig
from splitnet.package import Package
from splitnet.runtime import BoundedExecutor, Pipeline
from splitnet.tier.forward import Upstream, answers_from
from splitnet.tier.stages import SegmentLoader, own_stage, stages_up_to, warm_up
from splitnet.tier.uplink import Uplink
from splitnet.tier.versions import ServedModel, ServedVersion
from splitnet.tiers import Tier

# How long the tier above has to say whether it offers a version.
_ABOVE_S = 5.0


class VersionBuilder:
    """Builds versions that share one tier's compute threads and its way up."""

    def __init__(self, tier: Tier, config: CloudConfig, executor: BoundedExecutor, uplink: Uplink | None) -> None:
        self._tier = tier
        self._config = config
        self._executor = executor
        self._uplink = uplink

    def first(self, package: Package) -> ServedVersion:
        """Return the version that a tier starts with, whether or not the tier above is there.

        Raises:
            PackageError: a segment is missing or altered.
            ModelError: onnxruntime refuses a segment.
            ConfigError: what a wire's coding needs is not installed.
        """
        return self._built(package, self._way_up(package))

    def successor(self, package: Package) -> ServedVersion:
        """Return a version that is to take over (raises as `first` does).

        Raises:
            UnavailableError: the tier above does not offer that version, so that samples would fall back.
            DeadlineExceededError: it did not say so in time.
        """
        way_up = self._way_up(package)
        if way_up is not None:
            way_up.check_offered(_ABOVE_S)
        return self._built(package, way_up)

    def _way_up(self, package: Package) -> Upstream | None:
        return self._uplink.forward(package.manifest) if self._uplink is not None else None

    def _built(self, package: Package, way_up: Upstream | None) -> ServedVersion:
        manifest, name = package.manifest, package.manifest.model.name
        load = SegmentLoader(package, emulated_speed=self._config.emulated_speed)
        everything = tuple(entry.to_spec() for entry in manifest.model.outputs)
        parts = {name: (stages_up_to(package, self._tier, load), everything)}
        if manifest.plan.wire_into(self._tier) is not None:
            own = (own_stage(package, self._tier, load),)
            parts[f"{name}.{self._tier}"] = (own, answers_from(manifest, self._tier))
        models = {}
        for model, (stages, outputs) in parts.items():
            warm_up(stages)
            pipeline = Pipeline(
                stages,
                outputs,
                self._executor,
                forward=way_up,
                max_batch=self._config.max_batch,
                version=manifest.model.version,
            )
            models[model] = ServedModel(pipeline, outputs)
        return ServedVersion(manifest, models)
