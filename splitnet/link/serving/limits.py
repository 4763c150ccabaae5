"""The bounds of a serving tier."""

from dataclasses import dataclass

from splitnet.config import QuotaConfig


@dataclass(frozen=True, slots=True)
class Limits:
    """What a server takes at most; past each of them it says RESOURCE_EXHAUSTED at once.

    Attributes:
        default_deadline_ms: the longest that a request may take, whatever it states, milliseconds.
        max_streams: streams open at once; each holds two threads.
        max_calls: ModelInfer calls unanswered at once; each holds a thread.
        max_in_flight: unanswered requests of one stream.
        max_message_bytes: largest message taken or sent, bytes.
        quota: what one client may have of these.
    """

    default_deadline_ms: float
    max_streams: int
    max_calls: int
    max_in_flight: int
    max_message_bytes: int
    quota: QuotaConfig
