"""protobuf's own parser and serialiser, with their failures turned into ours."""

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from splitnet.errors import InvalidArgumentError, PeerProtocolError

_M = TypeVar("_M", bound=Message)
_T = TypeVar("_T")


def parse(message_type: type[_M], data: bytes) -> _M:
    """Return the message that `data` is.

    Raises:
        InvalidArgumentError: it is not one.
    """
    try:
        return message_type.FromString(data)
    except (DecodeError, UnicodeDecodeError) as err:  # the second from protobuf's pure Python form only
        # Its name is left out: messages of several calls are alike, and read by one type.
        raise InvalidArgumentError(
            f"expected a well-formed message with text in UTF-8, got {len(data)} bytes that are not one"
        ) from err


def writes_text(write: Callable[[_T], bytes]) -> Callable[[_T], bytes]:
    """Return `write`, which then raises InvalidArgumentError for text that UTF-8 cannot carry."""

    @wraps(write)
    def writer(message: _T) -> bytes:
        try:
            return write(message)
        except ValueError as err:  # its subclass UnicodeEncodeError, but for protobuf's pure Python form
            raise InvalidArgumentError(f"a name or parameter cannot be written in UTF-8: {err}") from err

    return writer


def from_peer(read: Callable[[bytes], _T]) -> Callable[[bytes], _T]:
    """Return `read` for an answer: what it refuses is the peer's doing, and raises PeerProtocolError."""

    @wraps(read)
    def reader(data: bytes) -> _T:
        try:
            return read(data)
        except InvalidArgumentError as err:
            raise PeerProtocolError(f"the peer's answer: {err}") from err

    return reader
