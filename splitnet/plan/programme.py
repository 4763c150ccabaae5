"""The mixed-integer programme of one case: columns, rows and bounds, without a solver.

The binary u(v,l) is 1 iff node v is above link l. A tensor from p, read by c, crosses it when u(c,l) - u(p,l) is
1, and then one of its ways k must be 1 too. An answer crosses when u(p,l) is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array

from splitnet.plan.arrays import Flags, Floats, Indices
from splitnet.plan.terms import LINK_STAGE, TIER_STAGE, Terms

_TIERS, _LINKS = (0, 1, 2), (0, 1)

# Caps are widened by so much in the programme, where HiGHS would take rows that hold to the byte for either side;
# what slips through is cut off by `cover_of`.
_WIDENED = 1 + 1e-6


@dataclass(frozen=True, slots=True)
class Cover:
    """Of these nodes, at most so many fit on a tier together: a row that every allowed placement keeps.

    Attributes:
        tier: 0 device, 1 edge, 2 cloud.
        nodes: indices of the nodes.
        most: how many of them.
    """

    tier: int
    nodes: Indices
    most: int


@dataclass(frozen=True, slots=True)
class Programme:
    """Minimise `cost @ x + constant` where `matrix @ x <= upper` and `lowest` <= x <= `highest`.

    Attributes:
        cost: `[w]`.
        constant: what every placement pays.
        matrix: `[r, w]`, sparse.
        upper: `[r]`.
        lowest: `[w]`.
        highest: `[w]`.
        integral: `[w]`, which are integers; the first 2 n: u(v,0) of every node, then u(v,1).
    """

    cost: Floats
    constant: float
    matrix: coo_array
    upper: Floats
    lowest: Floats
    highest: Floats
    integral: Flags


@dataclass(frozen=True, slots=True)
class _Form:
    """`values @ x[columns] + constant`."""

    columns: Indices
    values: Floats
    constant: float = 0.0

    def __add__(self, other: "_Form") -> "_Form":
        return _Form(
            np.concatenate((self.columns, other.columns)),
            np.concatenate((self.values, other.values)),
            self.constant + other.constant,
        )


class _Columns:
    """Where each variable is."""

    def __init__(self, terms: Terms) -> None:
        self.nodes = len(terms.work)
        self.stage = 2 * self.nodes + len(terms.crossings.tensor)
        self.width = self.stage + 1

    def u(self, nodes: Indices, link: int) -> Indices:
        return nodes + link * self.nodes

    def k(self, crossings: Indices) -> Indices:
        return 2 * self.nodes + crossings

    def on_tier(self, nodes: Indices, per_label: Floats) -> _Form:
        """The sum over `nodes` of what they have on a tier, `per_label`, `[len(nodes), 3]`."""
        columns = np.concatenate((self.u(nodes, 0), self.u(nodes, 1)))
        steps = np.diff(per_label, axis=1)
        return _Form(columns, np.concatenate((steps[:, 0], steps[:, 1])), float(per_label[:, 0].sum()))

    def sent(self, terms: Terms, stage: int) -> _Form:
        """What the crossings cost a stage."""
        values = terms.crossings.stages[:, stage]
        return _Form(self.k(np.flatnonzero(values)), values[values != 0])

    def back(self, terms: Terms, link: int) -> _Form:
        """What the answers pay for `link`."""
        return _Form(self.u(terms.producer[terms.answers], link), terms.back[terms.answers, link])


class _Rows:
    """Rows `values @ x[columns] <= upper`, collected."""

    def __init__(self) -> None:
        self._entries: list[tuple[Indices, Indices, Floats]] = []
        self._upper: list[Floats] = []
        self._count = 0

    def add(self, count: int, *, upper: float = 0.0) -> Indices:
        """Add empty rows; return their numbers."""
        rows = np.arange(self._count, self._count + count)
        self._upper.append(np.full(count, upper))
        self._count += count
        return rows

    def put(self, rows: Indices, columns: Indices, value: float) -> None:
        """Add one entry to each of `rows`."""
        self._entries.append((rows, columns, np.full(len(rows), value)))

    def add_order(self, less: Indices, more: Indices) -> Indices:
        """Add x[less] <= x[more] for each pair; return the numbers of the rows."""
        rows = self.add(len(less))
        self.put(rows, less, 1.0)
        self.put(rows, more, -1.0)
        return rows

    def add_form(self, form: _Form, *, upper: float) -> None:
        """Add one row."""
        (row,) = self.add(1, upper=upper - form.constant)
        self._entries.append((np.full(len(form.columns), row), form.columns, form.values))

    def matrix(self, width: int) -> coo_array:
        rows, columns, values = (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
        return coo_array((values, (rows, columns)), shape=(self._count, width))

    def upper(self) -> Floats:
        return np.concatenate(self._upper)


def programme_of(terms: Terms, covers: Sequence[Cover], *, highest_stage: float) -> Programme:
    """Return the programme of `terms`, with the rows of `covers`; no stage may cost more than `highest_stage`."""
    columns, rows = _Columns(terms), _Rows()
    _add_order(terms, columns, rows)
    for link in _LINKS[: 2 if terms.kind == "cloud" else 1]:
        _add_crossings(terms, columns, rows, link=link)
    _add_memory(terms, columns, rows)
    for cover in covers:
        present = (terms.memory[cover.nodes, :, cover.tier] > 0).astype(np.float64)
        rows.add_form(columns.on_tier(cover.nodes, present), upper=cover.most)
    cost, constant = _add_objective(terms, columns, rows)
    lowest, highest = np.zeros(columns.width), np.ones(columns.width)
    highest[columns.stage] = highest_stage
    lowest[columns.u(np.flatnonzero(~terms.allowed[:, 0]), 0)] = 1.0
    highest[columns.u(np.flatnonzero(~terms.allowed[:, 2]), 1)] = 0.0
    integral = np.arange(columns.width) < 2 * columns.nodes
    integral[columns.k(np.flatnonzero(_has_choice(terms)))] = True
    return Programme(cost, constant, rows.matrix(columns.width), rows.upper(), lowest, highest, integral)


def _has_choice(terms: Terms) -> Flags:
    """`[q]`: whether the tensor of a crossing has other ways over its link."""
    key = terms.crossings.tensor * 2 + terms.crossings.link
    choice: Flags = np.bincount(key, minlength=1)[key] > 1
    return choice


def _add_objective(terms: Terms, columns: _Columns, rows: _Rows) -> tuple[Floats, float]:
    everyone = np.arange(columns.nodes)
    forms = [columns.sent(terms, stage) for stage in range(5)]
    for tier in _TIERS:
        forms[TIER_STAGE[tier]] += columns.on_tier(everyone, terms.work[:, :, tier])
    for link in _LINKS:
        forms[LINK_STAGE[link]] += columns.back(terms, link)
    cost, constant = np.zeros(columns.width), 0.0
    if terms.slowest:
        cost[columns.stage] = 1.0
        for form, fixed in zip(forms, terms.constant, strict=True):
            rows.add_form(form + _Form(np.array([columns.stage]), np.array([-1.0])), upper=-fixed)
        return cost, constant
    for form in forms:
        np.add.at(cost, form.columns, form.values)
        constant += form.constant
    return cost, constant + float(terms.constant.sum())


def _add_order(terms: Terms, columns: _Columns, rows: _Rows) -> None:
    """Order, within a chain and along the edges; a node that may not be the edge's is above both links or none."""
    everyone, not_between = np.arange(columns.nodes), np.flatnonzero(~terms.allowed[:, 1])
    rows.add_order(columns.u(everyone, 1), columns.u(everyone, 0))
    rows.add_order(columns.u(not_between, 0), columns.u(not_between, 1))
    for link in _LINKS:
        rows.add_order(columns.u(terms.edges[:, 0], link), columns.u(terms.edges[:, 1], link))


def _add_crossings(terms: Terms, columns: _Columns, rows: _Rows, *, link: int) -> None:
    """Where a tensor crosses `link`, one of its ways is used."""
    tensors, consumers = terms.uses.T
    read = rows.add(len(tensors))
    rows.put(read, columns.u(consumers, link), 1.0)
    forced = np.flatnonzero(terms.forced & (link == 0))
    sent = rows.add(len(forced), upper=-1.0)
    all_rows, all_tensors = np.concatenate((read, sent)), np.concatenate((tensors, forced))
    makers = terms.producer[all_tensors]
    rows.put(all_rows[makers >= 0], columns.u(makers[makers >= 0], link), -1.0)
    ways = np.flatnonzero(terms.crossings.link == link)
    first, last = (np.searchsorted(terms.crossings.tensor[ways], all_tensors, side) for side in ("left", "right"))
    for number in range(int((last - first).max(initial=0))):
        some = first + number < last
        rows.put(all_rows[some], columns.k(ways[first[some] + number]), -1.0)


def _add_memory(terms: Terms, columns: _Columns, rows: _Rows) -> None:
    """The caps: nodes beyond a tier's cap never go there, the others must fit together."""
    for tier in _TIERS:
        cap, held = float(terms.caps[tier]), terms.memory[:, :, tier]
        size = held.max(axis=1)
        heavy, light = np.flatnonzero(size > cap), np.flatnonzero(size <= cap)
        if heavy.size:
            rows.add_form(columns.on_tier(heavy, (held[heavy] > 0).astype(np.float64)), upper=0.0)
        if size[light].sum() > cap:
            unit = size[light].max()
            rows.add_form(columns.on_tier(light, held[light] / unit), upper=cap / unit * _WIDENED)


def cover_of(terms: Terms, tiers: Indices, tier: int) -> Cover:
    """Return a row that cuts off the placement `tiers`, whose nodes on `tier` do not fit.

    Fewest of its largest nodes that do not fit are taken; nodes as large as each of these are as many at most
    (an extended cover inequality: Balas, "Facets of the knapsack polytope", Mathematical Programming 8, 1975).
    """
    held = terms.memory[np.arange(len(tiers)), tiers, tier]
    on_tier = np.flatnonzero(held)
    largest_first = on_tier[np.argsort(-held[on_tier], kind="stable")]
    most = int(np.searchsorted(np.cumsum(held[largest_first]), terms.caps[tier], side="right"))
    together = largest_first[: most + 1]
    as_large = np.flatnonzero(terms.memory[:, :, tier].max(axis=1) >= held[together].max())
    return Cover(tier, np.union1d(together, as_large), most)
