"""What a server needs of the program behind it, free of any transport."""

from concurrent.futures import Future
from typing import Protocol

from splitnet.deadline import Deadline
from splitnet.protocol import InferRequest, InferResponse, ModelMetadata, ServerMetadata


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
