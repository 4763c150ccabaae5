"""Settings of changing the plan as the link changes."""

from typing import Annotated

from pydantic import Field

from splitnet.config.frozen import Frozen


class AdaptiveConfig(Frozen):
    """The table `[adaptive]` of a device.

    Attributes:
        enabled: whether a package of several plans is run by the best of them; otherwise by its first.
        margin: a plan is changed where another is predicted better by this share.
        hold_s: a plan is kept at least so long, seconds.
        probe_s: while requests come but tell nothing of the link, it is probed so often, seconds; 0 never probes.
    """

    enabled: bool = True
    margin: Annotated[float, Field(ge=0, le=1)] = 0.1
    hold_s: Annotated[float, Field(ge=0, le=3600)] = 0.5
    probe_s: Annotated[float, Field(ge=0, le=3600)] = 0.4
