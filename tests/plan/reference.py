"""A second, naive statement of the cost model: every choice listed, each priced by the formula written out."""

from collections.abc import Iterator
from dataclasses import dataclass

from splitnet.plan import LinkCost, Problem, Wire

Choice = tuple[int, tuple[tuple[int, str], ...], tuple[int | None, ...]]


@dataclass(frozen=True)
class Priced:
    last: int
    wires: tuple[tuple[int, str], ...]
    exits: tuple[int | None, ...]
    ms: float

    @property
    def choice(self) -> Choice:
        return self.last, self.wires, self.exits


def _round_trip(link: LinkCost, up: float, down: float) -> float:
    return 2 * link.delay_ms + link.overhead_ms + 8000 * up / link.bandwidth_bps + 8000 * down / link.bandwidth_bps


def _sendable(problem: Problem) -> Iterator[tuple[int, Wire]]:
    for position in range(len(problem.cost_ms)):
        for wire in problem.wires[position]:
            yield position, wire


def price_edge(problem: Problem, w1: int, c1: Wire, a: int | None) -> float:
    device, edge, _ = problem.speeds
    d1 = w1 if a is None else max(w1, problem.exits[a].position)
    head_a = 0.0 if a is None else problem.exits[a].cost_ms / device
    s_a = 1.0 if a is None else problem.survival[frozenset({a})]
    link = (
        c1.encode_ms / device
        + c1.decode_ms / edge
        + _round_trip(problem.links[0], c1.nbytes, problem.answer_nbytes)
    )
    return sum(problem.cost_ms[:d1]) / device + head_a + s_a * (link + sum(problem.cost_ms[w1:]) / edge)


def price_cloud(problem: Problem, w1: int, c1: Wire, w2: int, c2: Wire, a: int | None, b: int | None) -> float:
    device, edge, cloud = problem.speeds
    d1 = w1 if a is None else max(w1, problem.exits[a].position)
    d2 = w2 if b is None else max(w2, problem.exits[b].position)
    head_a = 0.0 if a is None else problem.exits[a].cost_ms / device
    head_b = 0.0 if b is None else problem.exits[b].cost_ms / edge
    s_a = 1.0 if a is None else problem.survival[frozenset({a})]
    both = frozenset(index for index in (a, b) if index is not None)
    s_ab = problem.survival[both] if both else 1.0
    passed_on = b is None and (w1, c1.codec) == (w2, c2.codec)
    transcode_1, transcode_2 = (0.0, 0.0) if passed_on else (c1.decode_ms / edge, c2.encode_ms / edge)
    link1 = c1.encode_ms / device + _round_trip(problem.links[0], c1.nbytes, problem.answer_nbytes) + transcode_1
    link2 = transcode_2 + _round_trip(problem.links[1], c2.nbytes, problem.answer_nbytes) + c2.decode_ms / cloud
    above = link2 + sum(problem.cost_ms[w2:]) / cloud
    middle = link1 + sum(problem.cost_ms[w1:d2]) / edge + head_b
    return sum(problem.cost_ms[:d1]) / device + head_a + s_a * middle + s_ab * above


def _deeper(problem: Problem, a: int | None, lowest: int) -> Iterator[int | None]:
    yield None
    for b, point in enumerate(problem.exits):
        if point.position >= lowest and (a is None or point.position > problem.exits[a].position):
            yield b


def enumerate_all(problem: Problem) -> list[Priced]:
    """Every placement that the semantics allow, priced."""
    found = [Priced(0, (), (), sum(problem.cost_ms) / problem.speeds[0])]
    first: list[int | None] = [] if problem.exit_on_device_required else [None]
    first += range(len(problem.exits))
    for a in first:
        for w1, c1 in _sendable(problem):
            found.append(Priced(1, ((w1, c1.codec),), (a,), price_edge(problem, w1, c1, a)))
            for w2, c2 in _sendable(problem):
                if w2 >= w1:
                    found += [
                        Priced(
                            2,
                            ((w1, c1.codec), (w2, c2.codec)),
                            (a, b),
                            price_cloud(problem, w1, c1, w2, c2, a, b),
                        )
                        for b in _deeper(problem, a, w1)
                    ]
    return found


def busy_tiers(problem: Problem, one: Priced) -> int:
    """How many tiers run a step or a head."""
    starts = [0, *(position for position, _ in one.wires)]
    ends = [*starts[1:], len(problem.cost_ms)]
    heads = [*one.exits, None]
    return sum(end > start or head is not None for start, end, head in zip(starts, ends, heads, strict=True))
