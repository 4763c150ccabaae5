"""The fault matrix's rows: what fails, where, and how it is mended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from splitnet.emulate import BlackHole, Delay, Drop, Fault, Refuse, Reset, Slice, Stall
from tests.faults.site import Site, Where

#: What the answers must be while the fault lasts: "fallbacks" says all of them, "any" that some may be served.
Meanwhile = Literal["fallbacks", "any"]


@dataclass(frozen=True, slots=True)
class LinkCase:
    """Faults of one of the links.

    Attributes:
        name: of the fault, for people.
        where: the link.
        faults: what is injected.
        meanwhile: what the answers must be.
    """

    name: str
    where: Where
    faults: Sequence[Fault]
    meanwhile: Meanwhile = "fallbacks"

    def begin(self, site: Site) -> None:
        """Let the link fail."""
        site.links[self.where].inject(*self.faults)

    def end(self, site: Site) -> None:
        """Mend it."""
        site.links[self.where].heal()


@dataclass(frozen=True, slots=True)
class TierCase:
    """The end of a tier's process, or its standstill."""

    name: Literal["SIGKILL", "SIGSTOP"]
    where: Literal["edge", "cloud"]
    meanwhile: Meanwhile = "fallbacks"

    def begin(self, site: Site) -> None:
        """Let the tier fail."""
        tier = site.edge if self.where == "edge" else site.cloud
        if self.name == "SIGKILL":
            tier.kill()
        else:
            tier.freeze()

    def end(self, site: Site) -> None:
        """Bring it back, at the same address; return when it takes requests."""
        tier = site.edge if self.where == "edge" else site.cloud
        if self.name == "SIGKILL":
            tier.start()
        else:
            tier.thaw()


Case = LinkCase | TierCase

_LINK_FAULTS: tuple[tuple[str, tuple[Fault, ...], Meanwhile], ...] = (
    ("refused", (Refuse(), Drop()), "fallbacks"),
    ("black hole", (BlackHole(),), "fallbacks"),
    ("black hole, way back", (BlackHole("down"),), "fallbacks"),
    ("stalled", (Stall(),), "fallbacks"),
    ("reset mid-message", (Reset(150),), "fallbacks"),
    ("a byte at a time", (Slice(1),), "any"),
    ("a byte every 5 ms", (Slice(1, 0.005),), "fallbacks"),
    ("10 s of delay", (Delay(10.0),), "fallbacks"),
    ("connection lost", (Drop(),), "any"),
)

#: Faults that are told apart by how a program must bear them; the others differ from one of these in degree.
ESSENTIAL = (
    "refused",
    "black hole",
    "reset mid-message",
    "a byte at a time",
    "10 s of delay",
    "SIGKILL",
    "SIGSTOP",
)


def all_cases() -> list[Case]:
    """Return every fault in every place; the processes' come last, since they take longest to mend."""
    links = [
        LinkCase(name, where, faults, meanwhile)
        for where in get_args(Where)
        for name, faults, meanwhile in _LINK_FAULTS
    ]
    tiers = [TierCase(name, where) for where in ("edge", "cloud") for name in ("SIGSTOP", "SIGKILL")]
    return [*links, *tiers]
