"""Settings of how a serving tier takes its work: batches, and what one client may have under way."""

from typing import Annotated

from pydantic import Field

from splitnet.config.frozen import Frozen


class BatchingConfig(Frozen):
    """The table `[batching]`; that of a device computes each request alone unless told.

    Attributes:
        max_samples: most samples that are computed together; 1 computes each request alone.
        max_delay_ms: the longest that a request waits for others to join it, milliseconds; with 0 those join that
            wait anyway.
    """

    max_samples: Annotated[int, Field(ge=1, le=65536)] = 32
    max_delay_ms: Annotated[float, Field(ge=0, le=1_000)] = 0.0


class QuotaConfig(Frozen):
    """The table `[quota]` of an edge or a cloud: what one client may have.

    Attributes:
        in_flight: unanswered requests of one client, over all its streams and calls.
        streams: streams of one client.
    """

    in_flight: Annotated[int, Field(ge=1, le=65536)] = 256
    streams: Annotated[int, Field(ge=1, le=4096)] = 16
