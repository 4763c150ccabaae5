"""Settings of a link to the tier above: how it comes back, and when it is left alone."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from splitnet.config.frozen import Frozen


class LinkConfig(Frozen):
    """The table `[link]` of an edge or a device.

    Attributes:
        retry_share: retries may add this share to the requests sent, after a full window of them at once; 0 never
            tries again.
        connect_ms: how long an attempt to connect may take, until the tier above has said what it is.
        reconnect_ms: bound of the first pause between attempts to connect; it doubles, with jitter.
        reconnect_most_ms: the largest such bound.
        breaker_failures: so many failures in a row, and a tier is not asked until it has been connected anew.
        renew_s: a connection with certificates is made anew so often, to take renewed ones, seconds.
    """

    retry_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    connect_ms: Annotated[float, Field(ge=10, le=60_000)] = 1_500.0
    reconnect_ms: Annotated[float, Field(ge=10, le=60_000)] = 100.0
    reconnect_most_ms: Annotated[float, Field(ge=10, le=60_000)] = 1_500.0
    breaker_failures: Annotated[int, Field(ge=1, le=1000)] = 5
    renew_s: Annotated[float, Field(ge=1, le=86_400 * 30)] = 3_600.0

    @model_validator(mode="after")
    def _pauses_grow(self) -> Self:
        if self.reconnect_ms > self.reconnect_most_ms:
            raise ValueError(
                f"reconnect_ms {self.reconnect_ms:g} is more than reconnect_most_ms {self.reconnect_most_ms:g}"
            )
        return self
