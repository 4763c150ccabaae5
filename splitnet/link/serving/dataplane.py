"""What a server needs of the program behind it, free of any transport."""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from splitnet.deadline import Deadline
from splitnet.protocol import (
    IndexEntry,
    IndexRequest,
    InferRequest,
    InferResponse,
    ModelChange,
    ModelConfig,
    ModelMetadata,
    ServerMetadata,
)


@dataclass(frozen=True, slots=True, eq=False)
class TierResponse(InferResponse):
    """An answer with what the tier knows of it, for those who count; none of this is on the wire.

    Attributes:
        plan: id of the plan that ran; "" where none did, for it was a probe.
        samples: of the request.
        exits: who answered each sample.
        fallbacks: why a shallower exit answered, one entry a sample, "" for none.
    """

    plan: str = ""
    samples: int = 0
    exits: tuple[str, ...] = ()
    fallbacks: tuple[str, ...] = ()


class DataPlane(Protocol):
    """A tier's models, as the protocol's calls see them."""

    def ready(self) -> bool:
        """Whether every model is loaded and the tier is not shutting down."""

    def server_metadata(self) -> ServerMetadata:
        """Name, version and extensions of this server.

        The link adds to the extensions those that it serves by itself (`splitnet.link.serving.models.EXTENSIONS`).
        """

    def model_ready(self, name: str, version: str) -> bool:
        """Whether that version of the model answers now; an unknown model is not ready."""

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        """Inputs and outputs of a model.

        Raises:
            NotFoundError: no such model or version; the message lists what there is.
        """

    def model_config(self, name: str, version: str) -> ModelConfig:
        """How a model is served; `ModelConfig.of` makes it from the metadata.

        Raises:
            NotFoundError: no such model or version; the message lists what there is.
        """

    def infer(
        self, request: InferRequest, deadline: Deadline, *, priority: int = 0, inline: bool = False
    ) -> "Future[InferResponse]":
        """Take a request; the future ends with the response (best a `TierResponse`) or a SplitNetError.

        As long as it has not begun to compute, the future may be cancelled: the request is then dropped.

        Args:
            request: what is asked.
            deadline: by when the answer is wanted.
            priority: 0 for none, else 1 is the highest.
            inline: whether the calling thread may compute it, where a worker is idle and nothing waits; the future
                has then ended when this returns, or waits for the tier above.

        Raises:
            SplitNetError: the request is refused at once.
        """


#: Parameter of a load: the package's name in the repository; without it, the highest version there is taken.
PACKAGE_PARAMETER = "splitnet_package"
#: Parameter of a request, and of a load: the id of the plan that is meant.
PLAN_PARAMETER = "splitnet_plan"
#: Parameter of an unload: which version; without it, the lowest that is loaded.
VERSION_PARAMETER = "splitnet_version"


class ModelRepository(Protocol):
    """The versions of a tier's model that are there, and changing which of them it offers."""

    @property
    def may_change(self) -> bool:
        """Whether callers may load and unload."""

    def index(self, request: IndexRequest) -> tuple[IndexEntry, ...]:
        """Return what is there, and what of it is offered.

        Raises:
            InvalidArgumentError: a repository of that name is not there.
        """

    def load(self, change: ModelChange) -> "Future[None]":
        """Begin to load a version beside those that are offered; the future ends once it is offered, or in error.

        Raises:
            SplitNetError: the request is refused at once.
        """

    def unload(self, change: ModelChange) -> None:
        """Offer a version no more; what is in flight on it ends on it.

        Raises:
            SplitNetError: there is no such version, or no other one.
        """
