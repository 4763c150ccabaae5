"""Single calls of the protocol to another tier, each with a deadline."""

from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from splitnet.config import TlsConfig, format_address
from splitnet.errors import DeadlineExceededError, SplitNetError, UnavailableError, error_from_status
from splitnet.link.client.channel import Target, open_channel
from splitnet.link.tls import client_credentials, diagnose
from splitnet.protocol import Method

Request = TypeVar("Request")
Response = TypeVar("Response")

# Small messages alone go this way.
_MAX_MESSAGE_BYTES = 4 * 2**20


def call_once(
    channel: grpc.Channel, method: Method[Request, Response], request: Request, *, timeout_s: float, wait: bool
) -> Response:
    """Call `method` once and return its answer.

    Args:
        channel: to the peer.
        method: what to call.
        request: what to say.
        timeout_s: how long the answer may take, seconds.
        wait: whether to wait that long for a connection too, instead of failing with the first attempt.

    Raises:
        UnavailableError: nobody is reached.
        DeadlineExceededError: no answer came within `timeout_s` seconds.
        PeerProtocolError: the answer cannot be read.
        SplitNetError: what the peer answered; its text begins with the status.
    """
    made: Any = channel.unary_unary(method.path)
    try:
        reply: bytes = made(method.encode_request(request), timeout=timeout_s, wait_for_ready=wait)
    except grpc.RpcError as err:
        raise _error_of(err, method.name) from err
    except ValueError as err:  # what grpcio raises on a channel that is closed
        raise UnavailableError(f"{method.name}: the link is closed") from err
    return method.decode_response(reply)


class TierClient:
    """A connection to one tier for single calls, closed when its block is left."""

    def __init__(self, address: tuple[str, int], *, tls: TlsConfig | None = None) -> None:
        """Prepare to connect: with this machine's certificate, or in plaintext.

        Raises:
            ConfigError: the certificate cannot be used.
        """
        self.address = format_address(address)
        self._tls = tls
        self._target = Target(address, tls.upstream_name if tls is not None else None)
        credentials = client_credentials(tls) if tls is not None else None
        self._channel = open_channel(self._target, credentials, max_message_bytes=_MAX_MESSAGE_BYTES)

    def call(self, method: Method[Request, Response], request: Request, *, timeout_s: float) -> Response:
        """Call `method` once (see `call_once` for what is raised); the message names the tier."""
        try:
            return call_once(self._channel, method, request, timeout_s=timeout_s, wait=False)
        except UnavailableError as err:
            why = diagnose(self._tls, self._target)
            raise UnavailableError(why or f"{self.address}: {err}; see that a tier listens there") from err
        except SplitNetError as err:
            raise type(err)(f"{self.address}: {err}") from err

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._channel.close()


def _error_of(err: grpc.RpcError, name: str) -> SplitNetError:
    status, text = err.code().name, err.details() or "no reason was given"
    # Waiting for a connection ends like this as well, with gRPC's words for what it waited for.
    if status == grpc.StatusCode.DEADLINE_EXCEEDED.name:
        return DeadlineExceededError(f"{name}: no answer within the time that was given")
    return error_from_status(status, f"[{status}] {text}")
