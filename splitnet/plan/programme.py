"""The mixed-integer programme of a placement problem: columns, rows and bounds, without a solver.

The binary u(v,l) is 1 iff node v is above link l. A tensor from p, read by c, crosses it when
k >= u(c,l) - u(p,l) is 1; an answer when u(p,l) is; the link is used when z(l) >= k is 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array

from splitnet.plan.terms import Flags, Floats, Indices, Terms

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
    """Minimise `cost @ x + constant` where `matrix @ x <= upper` and 0 <= x <= `highest`.

    Attributes:
        cost: `[w]`.
        constant: what every placement pays.
        matrix: `[r, w]`, sparse.
        upper: `[r]`.
        highest: `[w]`.
        integral: `[w]`, which are integers; the first 2 n: u(v,0) of every node, then u(v,1).
    """

    cost: Floats
    constant: float
    matrix: coo_array
    upper: Floats
    highest: Floats
    integral: Flags


@dataclass(frozen=True, slots=True)
class _Form:
    """`values @ x[columns] + constant`."""

    columns: Indices
    values: Floats
    constant: float = 0.0


class _Columns:
    """Where each variable is."""

    def __init__(self, terms: Terms) -> None:
        self.nodes, self.tensors = len(terms.node_cost), len(terms.transfer)
        self.stage = 2 * (self.nodes + self.tensors) + 2
        self.width = self.stage + 1

    def u(self, nodes: Indices, link: int) -> Indices:
        return nodes + link * self.nodes

    def k(self, tensors: Indices, link: int) -> Indices:
        return tensors + 2 * self.nodes + link * self.tensors

    def z(self, count: int, link: int) -> Indices:
        return np.full(count, self.stage - 2 + link, np.intp)

    def on_tier(self, tier: int, nodes: Indices, weights: Floats) -> _Form:
        """The weights of those of `nodes` that are on `tier`: above the link below it, not above its upper one."""
        columns, values = [], []
        if tier > 0:
            columns.append(self.u(nodes, tier - 1))
            values.append(weights)
        if tier < len(_LINKS):
            columns.append(self.u(nodes, tier))
            values.append(-weights)
        return _Form(np.concatenate(columns), np.concatenate(values), float(weights.sum()) if tier == 0 else 0.0)

    def sent(self, terms: Terms, link: int) -> _Form:
        """What all tensors pay for `link`."""
        columns = np.concatenate(
            (self.k(np.arange(self.tensors), link), self.u(terms.producer[terms.answers], link))
        )
        return _Form(columns, np.concatenate((terms.transfer[:, link], terms.transfer[terms.answers, link])))


class _Rows:
    """Rows `values @ x[columns] <= upper`, collected."""

    def __init__(self) -> None:
        self._entries: list[tuple[Indices, Indices, Floats]] = []
        self._upper: list[Floats] = []
        self._count = 0

    def add(self, *, upper: float, **signed: Indices) -> None:
        """Add as many rows as the column lists are long: `plus` with coefficient 1, `minus` and `minus_too` -1."""
        count = len(next(iter(signed.values())))
        rows = np.arange(self._count, self._count + count)
        for name, columns in signed.items():
            self._entries.append((rows, columns, np.full(count, 1.0 if name == "plus" else -1.0)))
        self._upper.append(np.full(count, upper))
        self._count += count

    def add_form(self, form: _Form, *, upper: float) -> None:
        row = np.full(len(form.columns), self._count)
        self._entries.append((row, form.columns, form.values))
        self._upper.append(np.array([upper - form.constant]))
        self._count += 1

    def matrix(self, width: int) -> coo_array:
        rows, columns, values = (np.concatenate(parts) for parts in zip(*self._entries, strict=True))
        return coo_array((values, (rows, columns)), shape=(self._count, width))

    def upper(self) -> Floats:
        return np.concatenate(self._upper)


def programme_of(terms: Terms, covers: Sequence[Cover], *, highest_stage: float) -> Programme:
    """Return the programme of `terms`, with the rows of `covers`; no stage may cost more than `highest_stage`."""
    columns, rows = _Columns(terms), _Rows()
    _add_order(terms, columns, rows)
    _add_memory(terms, columns, rows)
    for cover in covers:
        rows.add_form(columns.on_tier(cover.tier, cover.nodes, np.ones(len(cover.nodes))), upper=cover.most)
    everyone = np.arange(columns.nodes)
    forms = [columns.on_tier(tier, everyone, terms.node_cost[:, tier]) for tier in _TIERS]
    forms += [columns.sent(terms, link) for link in _LINKS]
    cost, constant = np.zeros(columns.width), 0.0
    if terms.slowest:
        cost[columns.stage] = 1.0
        for form in forms:
            stage = _Form(np.append(form.columns, columns.stage), np.append(form.values, -1.0), form.constant)
            rows.add_form(stage, upper=0.0)
    else:
        for form in forms:
            np.add.at(cost, form.columns, form.values)
            constant += form.constant
        for link in _LINKS:
            cost[columns.z(1, link)] = terms.once[link]
    highest = np.ones(columns.width)
    highest[columns.stage] = highest_stage
    for link in _LINKS:
        highest[columns.u(np.flatnonzero(terms.pinned), link)] = 0.0
    integral = np.arange(columns.width) < 2 * columns.nodes
    return Programme(cost, constant, rows.matrix(columns.width), rows.upper(), highest, integral)


def _add_order(terms: Terms, columns: _Columns, rows: _Rows) -> None:
    """Order, within a chain and along the edges; when a tensor crosses a link, and when a link is used."""
    everyone = np.arange(columns.nodes)
    rows.add(upper=0.0, plus=columns.u(everyone, 1), minus=columns.u(everyone, 0))
    made = terms.edges
    tensors, consumers = terms.uses.T
    inner = terms.producer[tensors] >= 0
    for link in _LINKS:
        rows.add(upper=0.0, plus=columns.u(made[:, 0], link), minus=columns.u(made[:, 1], link))
        rows.add(
            upper=0.0,
            plus=columns.u(consumers[inner], link),
            minus=columns.u(terms.producer[tensors[inner]], link),
            minus_too=columns.k(tensors[inner], link),
        )
        rows.add(upper=0.0, plus=columns.u(consumers[~inner], link), minus=columns.k(tensors[~inner], link))
        if terms.once[link] > 0:
            sent, answering = np.unique(tensors), terms.producer[terms.answers]
            rows.add(upper=0.0, plus=columns.k(sent, link), minus=columns.z(len(sent), link))
            rows.add(upper=0.0, plus=columns.u(answering, link), minus=columns.z(len(answering), link))


def _add_memory(terms: Terms, columns: _Columns, rows: _Rows) -> None:
    """The caps: nodes beyond a tier's cap never go there, the others must fit together."""
    for tier in _TIERS:
        cap = float(terms.caps[tier])
        heavy, light = np.flatnonzero(terms.memory > cap), np.flatnonzero(terms.memory <= cap)
        if heavy.size:
            rows.add_form(columns.on_tier(tier, heavy, np.ones(len(heavy))), upper=0.0)
        if terms.memory[light].sum() > cap:
            unit = terms.memory[light].max()
            rows.add_form(columns.on_tier(tier, light, terms.memory[light] / unit), upper=cap / unit * _WIDENED)


def cover_of(terms: Terms, tiers: Indices, tier: int) -> Cover:
    """Return a row that cuts off the placement `tiers`, whose nodes on `tier` do not fit.

    Fewest of its largest nodes that do not fit are taken; nodes as large as each of these are as many at most
    (an extended cover inequality: Balas, "Facets of the knapsack polytope", Mathematical Programming 8, 1975).
    """
    on_tier = np.flatnonzero(tiers == tier)
    largest_first = on_tier[np.argsort(-terms.memory[on_tier], kind="stable")]
    most = int(np.searchsorted(np.cumsum(terms.memory[largest_first]), terms.caps[tier], side="right"))
    together = largest_first[: most + 1]
    as_large = np.flatnonzero(terms.memory >= terms.memory[together].max())
    return Cover(tier, np.union1d(together, as_large), most)
