"""What the parts of a session tell, and who hears it: until the session is closed, its plans among others."""

from collections.abc import Iterable
from concurrent.futures import Future

from splitnet.runtime import Answer
from splitnet.telemetry import Events, Listeners
from splitnet_device.planning import Planning


class Hearing(Listeners):
    """Hands events on to listeners and the planning; to nobody once it is closed.

    The planning holds the plans, and these, by their link and their threads, those whom they tell: as long as it
    hears them the circle is whole, and keeps their models until the next full collection.
    """

    def __init__(self, listeners: Iterable[Events], planning: Planning) -> None:
        """Hand events on to `listeners` first, then to `planning`."""
        super().__init__([*listeners, planning])
        self._planning: Planning | None = planning

    def follow(self, plan: str, samples: int, above: "Future[Answer]") -> None:
        """Have the planning watch a request that goes up."""
        if (planning := self._planning) is not None:
            planning.follow(plan, samples, above)

    def close(self) -> None:
        """Let go of all who hear."""
        self._listeners, self._planning = (), None
