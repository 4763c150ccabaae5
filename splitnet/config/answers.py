"""Settings of the answers that a tier keeps, to give them again."""

from typing import Annotated

from pydantic import Field

from splitnet.config.frozen import Frozen


class CacheConfig(Frozen):
    """The table `[cache]` of an edge or a device: the latest answers, by the content asked and the version.

    Attributes:
        entries: most answers kept; 0 keeps none.
        max_bytes: of all of them together.
    """

    entries: Annotated[int, Field(ge=0, le=1_000_000)] = 100
    max_bytes: Annotated[int, Field(ge=0, le=2**36)] = 64 * 2**20
