"""Text of a peer, made short and printable enough for an error message."""

#: A status line travels in a header, of which gRPC takes 8 KiB; a peer's tensor name may be megabytes.
_LONGEST = 80


def quote(text: str) -> str:
    """Return `text` quoted, escaped, and cut after 80 characters."""
    return repr(text) if len(text) <= _LONGEST else f"{text[:_LONGEST]!r}… ({len(text)} characters)"
