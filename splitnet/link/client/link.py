"""A link to the tier above, whoever makes it: one connection, or several that take turns."""

from concurrent.futures import Future
from typing import Protocol

from splitnet.deadline import Deadline
from splitnet.protocol import InferRequest, InferResponse, ModelName


class Link(Protocol):
    """The way to the tier above."""

    @property
    def connected(self) -> bool:
        """Whether a request made now would be sent."""

    def infer(self, request: InferRequest, deadline: Deadline) -> "Future[InferResponse]":
        """Send `request` and promise its response, or a SplitNetError by `deadline`.

        Where `request.id` is not empty it goes on the wire as it is, unless a request of that id is unanswered.

        Raises:
            UnavailableError: the link is down or closed.
            OverloadedError: the window is full.
            InvalidArgumentError: the request is larger than a message may be, or cannot be encoded.
        """

    def supports(self, extension: str) -> bool:
        """Whether the tier above names `extension` in its ServerMetadata; False while that is not known."""

    def model_ready(self, model: ModelName, *, timeout_s: float) -> bool:
        """Ask the tier above whether it answers for `model` now.

        Raises:
            UnavailableError: the link is down or closed.
            DeadlineExceededError: no answer came within `timeout_s` seconds.
            PeerProtocolError: the answer cannot be read, or is an error.
        """

    def wait_until_known(self, timeout_s: float) -> bool:
        """Wait for the end of the first attempt to connect, at most `timeout_s`; return whether the link is up."""

    def close(self) -> None:
        """Fail what is in flight, close what is open and stop the threads."""
