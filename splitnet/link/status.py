"""How an error crosses a link: which text a peer may read, and where a stream carries the status."""

import grpc

from splitnet.errors import CallerError, PeerError

#: Response parameter of a failed request on a stream: its gRPC status name.
STATUS_PARAMETER = "splitnet_status"

#: What a failure may be called.
STATUS_NAMES = frozenset(code.name for code in grpc.StatusCode) - {grpc.StatusCode.OK.name}

# A status travels in a header of at most 8 KiB, escaped to as many as 12 bytes a character; a peer's own text
# may be in it, and a longer one would arrive as RESOURCE_EXHAUSTED instead of what it says.
_LONGEST = 500


def public_text(error: BaseException) -> str:
    """Return what a peer may read of `error`: its text where the peer must act, else nothing of the inside."""
    if isinstance(error, CallerError | PeerError):
        text = str(error)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "the tier failed on this request; its log says why"
