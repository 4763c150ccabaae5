"""What a server needs of the program behind it, free of any transport."""

from concurrent.futures import Future
from typing import Protocol

from splitnet.deadline import Deadline
from splitnet.protocol import (
    IndexEntry,
    IndexRequest,
    InferRequest,
    InferResponse,
    ModelChange,
    ModelMetadata,
    ServerMetadata,
)


class DataPlane(Protocol):
    """A tier's models, as the protocol's calls see them."""

    def ready(self) -> bool:
        """Whether every model is loaded and the tier is not shutting down."""

    def server_metadata(self) -> ServerMetadata:
        """Name, version and extensions of this server."""

    def model_ready(self, name: str, version: str) -> bool:
        """Whether that version of the model answers now; an unknown model is not ready."""

    def model_metadata(self, name: str, version: str) -> ModelMetadata:
        """Inputs and outputs of a model.

        Raises:
            NotFoundError: no such model or version; the message lists what there is.
        """

    def infer(self, request: InferRequest, deadline: Deadline) -> "Future[InferResponse]":
        """Take a request; the future ends with the response or a SplitNetError.

        Raises:
            SplitNetError: the request is refused at once.
        """


#: Parameter of a load: the package's name in the repository; without it, the highest version there is taken.
PACKAGE_PARAMETER = "splitnet_package"
#: Parameter of a request, of an answer, and of a load: the id of the plan that is meant.
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
