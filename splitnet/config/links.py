"""Settings of a link to the tier above: how it comes back, and when it is left alone."""

from typing import Annotated

from pydantic import Field

from splitnet.config.reading import Frozen


class LinkConfig(Frozen):
    """The table `[link]` of an edge or a device.

    Attributes:
        retry_share: retries may add this share to the requests sent; 0 never tries again.
        reconnect_ms: pause before the first attempt to connect again; it doubles, with jitter.
        reconnect_most_ms: the longest such pause.
        breaker_failures: so many failures in a row, and a tier is not asked until its pause is over.
    """

    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    reconnect_ms: Annotated[float, Field(ge=10, le=60_000)] = 100.0
    reconnect_most_ms: Annotated[float, Field(ge=10, le=60_000)] = 1_500.0
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
