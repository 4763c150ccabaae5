"""A serving tier's models: its own segment for the tier below, and the whole model for thin clients."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass

import splitnet
from splitnet.config import CacheConfig, CloudConfig
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, NotFoundError
from splitnet.link import PLAN_PARAMETER, TierResponse
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    ModelConfig,
    ModelMetadata,
    Parameter,
    ServerMetadata,
    TensorMetadata,
    to_datatype,
)
from splitnet.protocol.quoting import quote
from splitnet.runtime import Answer
from splitnet.telemetry import Events
from splitnet.tensors import BATCH, TensorSpec
from splitnet.tier.cache import KeptResponses
from splitnet.tier.chained import Chained
from splitnet.tier.coding import CODING, unpack
from splitnet.tier.parameters import PROBE, WAY_UP, answer_parameters
from splitnet.tier.served import ServedModel
from splitnet.tier.versions import MOST_VERSIONS, ServedVersion, Versions
from splitnet.tiers import Tier

_NO_CACHE = CacheConfig(entries=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A request and what it is of."""

    request: InferRequest
    version: ServedVersion
    plan: str
    wanted: tuple[str, ...]


class TierDataPlane:
    """The models of the versions that a tier offers; satisfies `splitnet.link.DataPlane`."""

    def __init__(
        self,
        versions: Versions,
        *,
        config: CloudConfig,
        tier: Tier,
        cache: CacheConfig = _NO_CACHE,
        events: Events = Events(),  # noqa: B008  (it holds nothing)
    ) -> None:
        """Serve `versions`, whichever they are when a request comes.

        Args:
            versions: what is offered.
            config: of the tier: how much it takes, and how it batches.
            tier: in whose name kept answers are told of.
            cache: the latest answers; without it none are kept.
            events: told of kept answers that are given again.
        """
        self._versions = versions
        self._config = config
        self._tier: Tier = tier
        self._kept = KeptResponses(cache)
        self._events = events
        self._draining = threading.Event()

    def drain(self) -> None:
        """Report not ready from now on."""
        self._draining.set()

    def ready(self) -> bool:
        """Whether the tier takes work."""
        return not self._draining.is_set()

    def server_metadata(self) -> ServerMetadata:
        """Name, version and extensions of this server."""
        extensions = ("model_stream_infer", "model_repository", CODING, PROBE)
        return ServerMetadata("splitnet", splitnet.__version__, extensions)

    def model_ready(self, name: str, version: str) -> bool:
        """Whether that version of the model answers now; a plan that is not loaded is, from then on."""
        try:
            found = self._versions.find(name, version)
        except NotFoundError:
            return False
        return self.ready() and found.is_ready(name)

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        """Inputs and outputs of a model.

        Raises:
            NotFoundError: no such model or version.
        """
        incoming, outputs = self._versions.find(name, version).interface(name)
        return ModelMetadata(
            name,
            tuple(each.name for each in reversed(self._versions.offered) if each.has(name)),
            "onnxruntime_onnx",
            tuple(_metadata(spec) for spec in incoming),
            tuple(_metadata(spec) for spec in outputs),
        )

    def model_config(self, name: str, version: str) -> ModelConfig:
        """How a model is served.

        Raises:
            NotFoundError: no such model or version.
        """
        batching = self._config.batching
        return ModelConfig.of(
            self.model_metadata(name, version),
            max_batch=self._config.max_batch,
            versions=MOST_VERSIONS,
            max_queue_delay_us=round(batching.max_delay_ms * 1e3) if batching.max_samples > 1 else None,
        )

    def infer(
        self, request: InferRequest, deadline: Deadline, *, priority: int = 0, inline: bool = False
    ) -> "Future[InferResponse]":
        """Run a model; see `splitnet.link.DataPlane`.

        Raises:
            NotFoundError: no such model, version or plan.
            UnavailableError: the plan's part here is not loaded, which begins now.
            InvalidArgumentError: tensors or requested outputs are not the model's.
            OverloadedError: too many requests are held.
        """
        version = self._versions.find(request.model_name, request.model_version)
        if request.parameters.get(PROBE) is True:
            return _done(_probed(request, version))
        model = version.get(request.model_name)
        _check_plan(request, model)
        asked = _Asked(request, version, model.plan, _requested(request, model))
        if (kept := self._kept.find(request, version.name, model.plan)) is not None:
            self._events.cache_hit(self._tier)
            return _done(kept)
        tensors, load = unpack(request, self._config.max_message_bytes)
        answered = model.pipeline.submit(
            tensors, deadline, load=load, priority=priority, inline=inline, request_id=request.id
        )
        if answered.done():  # computed on this thread: there is nothing left to wait for, or to cancel
            return _done(self._answered(asked, answered.result()))
        version.hold(request.model_name, answered)
        return Chained(answered, lambda answer: self._answered(asked, answer))

    def _answered(self, asked: _Asked, answer: Answer) -> InferResponse:
        response = _response(asked, answer)
        self._kept.keep(asked.request, asked.plan, response)
        return response


def _done(response: InferResponse) -> "Future[InferResponse]":
    future: Future[InferResponse] = Future()
    future.set_result(response)
    return future


def _probed(request: InferRequest, version: ServedVersion) -> TierResponse:
    says: dict[str, Parameter] = {}
    if request.parameters.get(WAY_UP) is True:
        says = {WAY_UP: version.is_whole(request.model_name)}
    return TierResponse(request.model_name, {}, version.name, request.id, says)


def _response(asked: _Asked, answer: Answer) -> TierResponse:
    return TierResponse(
        asked.request.model_name,
        {name: answer.outputs[name] for name in asked.wanted},
        asked.version.name,
        asked.request.id,
        answer_parameters(answer),
        plan=asked.plan,
        samples=len(answer.exits),
        exits=answer.exits,
        fallbacks=answer.fallbacks,
    )


def _check_plan(request: InferRequest, model: ServedModel) -> None:
    plan = request.parameters.get(PLAN_PARAMETER)
    if plan is not None and plan != model.plan:
        raise NotFoundError(
            f"model {quote(request.model_name)} runs plan {model.plan!r} here, not {quote(str(plan))}; "
            "deploy the same package on every tier"
        )


def _requested(request: InferRequest, model: ServedModel) -> tuple[str, ...]:
    there = tuple(spec.name for spec in model.outputs)
    for name in request.requested_outputs:
        if name not in there:
            raise InvalidArgumentError(
                f"model {request.model_name!r} has no output {quote(name)}; there are {sorted(there)}"
            )
    return request.requested_outputs or there


def _metadata(spec: TensorSpec) -> TensorMetadata:
    shape = tuple(-1 if size == BATCH else int(size) for size in spec.shape)
    return TensorMetadata(spec.name, to_datatype(spec.dtype), shape)
