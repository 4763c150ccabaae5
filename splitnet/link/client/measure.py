"""What an answer tells of the link that it came by."""

import time

from splitnet.link.client.inflight import Asked, Call
from splitnet.protocol import InferResponse
from splitnet.telemetry import Exchange

_PREFIX, _SUFFIX = "splitnet_", "_total_ms"


def exchange_of(call: Call, asked: Asked, response: InferResponse, size_bytes: int) -> Exchange:
    """Return what is known of a request and its answer.

    Args:
        call: the request, while it still has its message.
        asked: who answered.
        response: the answer.
        size_bytes: of the answer.
    """
    return Exchange(
        upstream=asked.carrier.label,
        sent_bytes=len(call.message),
        received_bytes=size_bytes,
        seconds=time.monotonic() - max(asked.since_s, asked.carrier.up_since_s),  # not what it waited to connect
        remote_s=_remote_s(response),
        others=call.others,
    )


def _remote_s(response: InferResponse) -> float | None:
    """How long the tier above had the request: the longest of the totals, since it counts those above it in."""
    totals = [
        value
        for name, value in response.parameters.items()
        if name.endswith(_SUFFIX) and name.startswith(_PREFIX) and isinstance(value, float)
    ]
    return max(totals) / 1e3 if totals else None
