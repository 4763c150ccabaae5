"""Where every node is, which exits are attached, and what crosses the links: a placement before its costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.plan.arrays import NO_EXITS, Arrays, Exits, Flags, Floats, Indices
from splitnet.tiers import TIERS


@dataclass(frozen=True, slots=True)
class Layout:
    """A placement.

    Attributes:
        tiers: `[n]`, the label of each node.
        exits: on the device and on the edge; none below a link that is not used.
    """

    tiers: Indices
    exits: Exits = NO_EXITS

    @property
    def last(self) -> int:
        """Index of the highest tier that is used, and the number of links."""
        return int(self.tiers.max())

    @property
    def edge_is_idle(self) -> bool:
        """Whether the edge neither computes a node nor has an exit."""
        return self.exits[1] is None and not (self.tiers == 1).any()

    def crossing(self, arrays: Arrays, link: int) -> Flags:
        """Return `[m]`: which tensors cross `link` upwards; what the edge's head reads crosses the first."""
        bottom = np.where(arrays.producer < 0, 0, self.tiers[arrays.producer])
        top = np.zeros_like(bottom)
        np.maximum.at(top, arrays.uses[:, 0], self.tiers[arrays.uses[:, 1]])
        crosses: Flags = (bottom <= link) & (link < top)
        b = self.exits[1]
        if link == 0 and b is not None:
            crosses |= arrays.heads.reads[b] & (bottom == 0)
        return crosses

    def held(self, arrays: Arrays) -> Floats:
        """Return the bytes of memory that each tier holds, `[3]`."""
        present = arrays.present(self.exits)[np.arange(len(self.tiers)), self.tiers]
        held: Floats = arrays.memory @ present
        for tier, index in enumerate(self.exits):
            if index is not None:
                held[tier] += arrays.heads.memory[index]
        return held

    def is_allowed(self, arrays: Arrays) -> bool:
        """Whether it keeps the order, the caps, what tiers can run and links can carry, and `keep_on_device`."""
        below, above = self.tiers[arrays.edges].T
        allowed = arrays.allowed(self.exits)[np.arange(len(self.tiers)), self.tiers]
        return bool(
            (below <= above).all()
            and allowed.all()
            and arrays.is_usable(self.exits)
            and (self.held(arrays) <= arrays.caps).all()
            and not any((self.crossing(arrays, link) & ~arrays.sendable).any() for link in range(self.last))
        )


def layout_of(tiers: Indices, exits: Exits) -> Layout:
    """Return the layout without the exits that have nobody above to spare work."""
    last, (a, b) = int(tiers.max()), exits
    return Layout(tiers, (a if last > 0 else None, b if last > 1 else None))


def tiers_of(arrays: Arrays, tier_of: Mapping[str, str]) -> Indices:
    """Return the tier of each node as a number, `[n]`.

    Raises:
        InvalidArgumentError: a node is missing or unknown, or its tier is not one of the three.
    """
    for name in (*arrays.nodes, *tier_of):
        if name not in tier_of or tier_of[name] not in TIERS:
            raise InvalidArgumentError(f"tier_of[{name!r}]: expected one of {', '.join(TIERS)}")
    if unknown := tier_of.keys() - set(arrays.nodes):
        raise InvalidArgumentError(f"tier_of[{min(unknown)!r}]: there is no such node")
    number: dict[str, int] = {tier: index for index, tier in enumerate(TIERS)}
    return np.array([number[tier_of[name]] for name in arrays.nodes], np.intp)


def check_layout(arrays: Arrays, layout: Layout, exits: Sequence[str | None]) -> None:
    """Raise unless `layout`, made of the exits called `exits`, is allowed but for `device_must_exit`.

    Raises:
        InvalidArgumentError: it sends something down before the end, or to or from a tier that cannot take it,
            breaks a cap, or has exits that do not fit.
    """
    _check_exits(arrays, layout, exits)
    tiers, names, table = layout.tiers, arrays.nodes, arrays.table
    for below, above in arrays.edges:
        if tiers[below] > tiers[above]:
            raise InvalidArgumentError(f"tier_of[{names[above]!r}]: below {names[below]!r}, which feeds it")
    for node in np.flatnonzero(arrays.pinned & (tiers > 0)):
        raise InvalidArgumentError(f"tier_of[{names[node]!r}]: keep_on_device keeps it on the device")
    present = arrays.present(layout.exits)[np.arange(len(tiers)), tiers]
    for node, tier in np.argwhere(present & ~arrays.able):
        raise InvalidArgumentError(
            f"tier_of[{names[node]!r}]: it cannot run on the {TIERS[tier]} (cost_ms is null)"
        )
    for link in range(layout.last):
        for tensor in np.flatnonzero(layout.crossing(arrays, link) & ~arrays.sendable):
            raise InvalidArgumentError(
                f"tier_of: {table.tensors[tensor].id!r} would cross from {TIERS[link]} to {TIERS[link + 1]}, and "
                "there is no way to send it"
            )
    if broken := [TIERS[tier] for tier in np.flatnonzero(layout.held(arrays) > arrays.caps)]:
        raise InvalidArgumentError(f"memory_bytes: the nodes on {', '.join(broken)} need more than the cap")


def _check_exits(arrays: Arrays, layout: Layout, exits: Sequence[str | None]) -> None:
    for tier, name in enumerate(exits):
        if name is None:
            continue
        if layout.exits[tier] is None:
            raise InvalidArgumentError(f"exits: nothing runs above the {TIERS[tier]}, where {name!r} would answer")
        if not arrays.heads.able[layout.exits[tier], tier]:
            raise InvalidArgumentError(f"exits: {name!r} cannot run on the {TIERS[tier]} (cost_ms is null)")
    a, b = layout.exits
    if a is not None and b is not None and (a, b) not in arrays.heads.pairs:
        raise InvalidArgumentError(
            f"exits: {exits[1]!r} on the edge is not deeper than {exits[0]!r} on the device"
        )
