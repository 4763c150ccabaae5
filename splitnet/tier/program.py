"""A serving tier as a program: load, warm, listen, say so, and end in order on a signal."""

import logging
import signal
import threading
from collections.abc import Callable
from types import FrameType

from splitnet.config import CloudConfig, format_address
from splitnet.link import TierServer
from splitnet.package import Package
from splitnet.runtime import BoundedExecutor, Forward, Pipeline, Stage
from splitnet.tensors import TensorSpec
from splitnet.tier.dataplane import ServedModel, TierDataPlane
from splitnet.tier.forward import answers_from
from splitnet.tier.stages import SegmentLoader, own_stage, stages_up_to, warm_up
from splitnet.tiers import Tier

logger = logging.getLogger(__name__)

# After the grace, what is left to a segment that runs: its caller is gone.
_LAST_SEGMENT_S = 0.5

OnListening = Callable[[str], None]


class ServingTier:
    """The edge or the cloud: its models behind a server, over one executor."""

    def __init__(self, package: Package, tier: Tier, config: CloudConfig, forward: Forward | None) -> None:
        """Load and warm the segments and bind the address.

        Args:
            package: the opened package.
            tier: "edge" or "cloud".
            config: limits and the address.
            forward: the way to the tier above, None where there is none.

        Raises:
            PackageError: a segment is missing or altered.
            ModelError: onnxruntime refuses a segment.
            ConfigError: the address cannot be bound, or what a wire's coding needs is not installed.
        """
        self._tier = tier
        self._name = package.manifest.model.name
        self._config = config
        self._executor = BoundedExecutor(workers=config.workers, limit=config.queue_limit, name=tier)
        self._dataplane = TierDataPlane(
            package.manifest, self._models(package, forward), max_decoded_bytes=config.max_message_bytes
        )
        self._server = TierServer(
            self._dataplane,
            listen=config.listen,
            max_message_bytes=config.max_message_bytes,
            default_deadline_ms=config.deadline_ms,
            max_streams=config.max_streams,
            max_in_flight=config.queue_limit,
        )

    @property
    def address(self) -> tuple[str, int]:
        """Host and port as bound."""
        return self._server.address

    def start(self) -> None:
        """Take requests."""
        self._server.start()
        logger.info("%s serves %s on %s", self._tier, self._name, format_address(self.address))

    def stop(self) -> None:
        """Finish what is in flight, within the configured grace, and stop.

        A segment that is still running then is waited for another half second at most, and logged: its
        thread is a daemon, which does not keep the process from its end.
        """
        self._dataplane.drain()
        self._server.stop(self._config.grace_s)
        self._executor.close(drop=True, timeout_s=_LAST_SEGMENT_S)

    def _models(self, package: Package, forward: Forward | None) -> dict[str, ServedModel]:
        manifest = package.manifest
        load = SegmentLoader(package, emulated_speed=self._config.emulated_speed)
        everything = tuple(entry.to_spec() for entry in manifest.model.outputs)
        whole = stages_up_to(package, self._tier, load)
        models = {self._name: self._model(whole, everything, forward)}
        if manifest.plan.wire_into(self._tier) is not None:
            own = (own_stage(package, self._tier, load),)
            answers = answers_from(manifest, self._tier)
            models[f"{self._name}.{self._tier}"] = self._model(own, answers, forward)
        for model in models.values():
            warm_up(model.pipeline.stages)
        return models

    def _model(
        self, stages: tuple[Stage, ...], outputs: tuple[TensorSpec, ...], forward: Forward | None
    ) -> ServedModel:
        pipeline = Pipeline(stages, outputs, self._executor, forward=forward, max_batch=self._config.max_batch)
        return ServedModel(pipeline, outputs)


def run_until_signalled(tier: ServingTier, on_listening: OnListening) -> None:
    """Serve until SIGTERM or SIGINT, then end in order; call from the main thread.

    Args:
        tier: the loaded tier.
        on_listening: called with HOST:PORT once requests are taken.
    """
    ended = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        ended.set()

    previous = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        tier.start()
        on_listening(format_address(tier.address))
        ended.wait()
    finally:
        tier.stop()
        for number, handler in previous.items():
            signal.signal(number, handler)
