"""Seat: a device's place in a round, which the checks and steps of later legs start from."""

from dataclasses import dataclass

from splitnet.errors import RefusalError
from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.envelope import Envelope, Kind
from splitnet.learn.secure.graph import Graph
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.rules import Party


@dataclass(frozen=True, slots=True)
class Seat:
    """Which device, in which sum, among whom."""

    party: Party
    context: RoundContext
    graph: Graph

    @property
    def id(self) -> str:
        """The device."""
        return self.party.id

    @property
    def neighbours(self) -> tuple[str, ...]:
        """Its neighbours, by ascending id."""
        return self.graph.neighbours(self.party.id)

    def check_signed(self, kind: Kind, device: str, payload: bytes, signature: bytes) -> None:
        """Check that another device signed just what this one was shown.

        Raises:
            RefusalError: it did not (sets-differ).
        """
        envelope = Envelope(self.context, kind, device, payload, signature)
        try:
            envelope.verify(self.party.pinned)
        except RefusalError as err:
            raise refusal(
                Reason.SETS_DIFFER,
                f"{kind.name} of {device}: not signed for the sets that this device was shown",
            ) from err
