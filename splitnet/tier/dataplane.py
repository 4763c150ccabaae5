"""A serving tier's models: its own segment for the tier below, and the whole model for thin clients."""

import logging
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass

import splitnet
from splitnet.deadline import Deadline
from splitnet.errors import InvalidArgumentError, NotFoundError, SplitNetError
from splitnet.package import Manifest
from splitnet.protocol import (
    InferRequest,
    InferResponse,
    ModelMetadata,
    ServerMetadata,
    TensorMetadata,
    to_datatype,
)
from splitnet.protocol.quoting import quote
from splitnet.runtime import Answer, Pipeline
from splitnet.tensors import BATCH, TensorSpec
from splitnet.tier.coding import CODING, unpack
from splitnet.tier.parameters import PLAN, answer_parameters

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ServedModel:
    """A model as clients see it.

    Attributes:
        pipeline: what runs it; its first stage says what the model takes.
        outputs: what it answers.
    """

    pipeline: Pipeline
    outputs: tuple[TensorSpec, ...]


class TierDataPlane:
    """The models of one package at one tier; satisfies `splitnet.link.DataPlane`."""

    def __init__(self, manifest: Manifest, models: Mapping[str, ServedModel], *, max_decoded_bytes: int) -> None:
        """Serve `models`, by name, as the one version that the package is.

        Args:
            manifest: the package's.
            models: by the names that clients ask for.
            max_decoded_bytes: of a request's coded tensors together, decoded.
        """
        self._models = dict(models)
        self._version = str(manifest.model.version)
        self._plan = manifest.plan.id
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
        return ServerMetadata("splitnet", splitnet.__version__, ("model_stream_infer", CODING))

    def model_ready(self, name: str, version: str) -> bool:
        """Whether that version of the model answers now."""
        return self.ready() and name in self._models and version in ("", self._version)

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        """Inputs and outputs of a model.

        Raises:
            NotFoundError: no such model or version.
        """
        model = self._find(name, version)
        return ModelMetadata(
            name,
            (self._version,),
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
        model = self._find(request.model_name, request.model_version)
        plan = request.parameters.get(PLAN)
        if plan is not None and plan != self._plan:
            raise NotFoundError(
                f"model {quote(request.model_name)} runs plan {self._plan!r} here, not {quote(str(plan))}; "
                "deploy the same package on every tier"
            )
        wanted = _requested(request, model)
        response: Future[InferResponse] = Future()
        response.set_running_or_notify_cancel()
        tensors, load = unpack(request, self._max_decoded_bytes)
        answered = model.pipeline.submit(tensors, deadline, load=load)
        answered.add_done_callback(lambda done: self._settle(request, wanted, done, response))
        return response

    def _settle(
        self,
        request: InferRequest,
        wanted: tuple[str, ...],
        answered: "Future[Answer]",
        response: "Future[InferResponse]",
    ) -> None:
        try:
            message = self._response(request, wanted, answered.result())
        except SplitNetError as err:
            response.set_exception(err)
        except Exception as err:  # in a callback nobody else would ever end the request
            logger.exception("an answer could not be given")
            response.set_exception(err)
        else:
            response.set_result(message)

    def _response(self, request: InferRequest, wanted: tuple[str, ...], answer: Answer) -> InferResponse:
        return InferResponse(
            request.model_name,
            {name: answer.outputs[name] for name in wanted},
            self._version,
            request.id,
            answer_parameters(self._plan, answer),
        )

    def _find(self, name: str, version: str) -> ServedModel:
        if name not in self._models:
            raise NotFoundError(f"model {quote(name)} is not served here; there are {sorted(self._models)}")
        if version not in ("", self._version):
            raise NotFoundError(f"model {name!r} has no version {quote(version)} here; there is {self._version!r}")
        return self._models[name]


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
