"""How an error crosses a link: which text a peer may read, and where a stream carries the status."""

from splitnet.errors import CallerError, PeerError

#: Response parameter of a failed request on a stream: its gRPC status name.
STATUS_PARAMETER = "splitnet_status"


def public_text(error: BaseException) -> str:
    """Return what a peer may read of `error`: its text where the peer must act, else nothing of the inside."""
    if isinstance(error, CallerError | PeerError):
        return str(error)
    return "the tier failed on this request; its log says why"
