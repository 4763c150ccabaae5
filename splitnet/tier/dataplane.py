"""A serving tier's models: its own segment for the tier below, and the whole model for thin clients."""

import logging
import threading
from concurrent.futures import Future

import splitnet
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, NotFoundError, SplitNetError
from splitnet.link import PLAN_PARAMETER
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
    to_datatype,
)
from splitnet.protocol.quoting import quote
from splitnet.runtime import Answer
from splitnet.tensors import BATCH, TensorSpec
from splitnet.tier.coding import CODING, unpack
from splitnet.tier.parameters import answer_parameters
from splitnet.tier.versions import ServedModel, ServedVersion, Versions

logger = logging.getLogger(__name__)


class TierDataPlane:
    """The models of the versions that a tier offers; satisfies `splitnet.link.DataPlane`."""

    def __init__(self, versions: Versions, *, max_decoded_bytes: int) -> None:
        """Serve `versions`, whichever they are when a request comes.

        Args:
            versions: what is offered.
            max_decoded_bytes: of a request's coded tensors together, decoded.
        """
        self._versions = versions
        self._max_decoded_bytes = max_decoded_bytes
        self._draining = threading.Event()

    def drain(self) -> None:
        """Report not ready from now on."""
        self._draining.set()

    def ready(self) -> bool:
        """Whether the tier takes work."""
        return not self._draining.is_set()

    def server_metadata(self) -> ServerMetadata:
        """Name, version and extensions of this server."""
        return ServerMetadata("splitnet", splitnet.__version__, ("model_stream_infer", "model_repository", CODING))

    def model_ready(self, name: str, version: str) -> bool:
        """Whether that version of the model answers now."""
        try:
            self._versions.find(name, version)
        except NotFoundError:
            return False
        return self.ready()

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        """Inputs and outputs of a model.

        Raises:
            NotFoundError: no such model or version.
        """
        model = self._versions.find(name, version).models[name]
        return ModelMetadata(
            name,
            tuple(each.name for each in reversed(self._versions.offered) if name in each.models),
            "onnxruntime_onnx",
            tuple(_metadata(spec) for spec in model.pipeline.incoming),
            tuple(_metadata(spec) for spec in model.outputs),
        )

    def infer(self, request: InferRequest, deadline: Deadline) -> "Future[InferResponse]":
        """Run a model.

        Raises:
            NotFoundError: no such model, version or plan.
            InvalidArgumentError: tensors or requested outputs are not the model's.
            OverloadedError: too many requests are held.
        """
        version = self._versions.find(request.model_name, request.model_version)
        _check_plan(request, version)
        model = version.models[request.model_name]
        wanted = _requested(request, model)
        response: Future[InferResponse] = Future()
        response.set_running_or_notify_cancel()
        tensors, load = unpack(request, self._max_decoded_bytes)
        answered = model.pipeline.submit(tensors, deadline, load=load)
        answered.add_done_callback(lambda done: _settle(request, version, wanted, done, response))
        return response


def _check_plan(request: InferRequest, version: ServedVersion) -> None:
    plan, runs = request.parameters.get(PLAN_PARAMETER), version.manifest.plan.id
    if plan is not None and plan != runs:
        raise NotFoundError(
            f"model {quote(request.model_name)} runs plan {runs!r} here, not {quote(str(plan))}; "
            "deploy the same package on every tier"
        )


def _settle(
    request: InferRequest,
    version: ServedVersion,
    wanted: tuple[str, ...],
    answered: "Future[Answer]",
    response: "Future[InferResponse]",
) -> None:
    try:
        answer = answered.result()
        message = InferResponse(
            request.model_name,
            {name: answer.outputs[name] for name in wanted},
            version.name,
            request.id,
            answer_parameters(version.manifest.plan.id, answer),
        )
    except SplitNetError as err:
        response.set_exception(err)
    except Exception as err:  # in a callback nobody else would ever end the request
        logger.exception("an answer could not be given")
        response.set_exception(err)
    else:
        response.set_result(message)


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
