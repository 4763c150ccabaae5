"""Random planning problems, small enough to list every placement of."""

from itertools import combinations

from hypothesis import strategies as st

from splitnet.plan import ExitPoint, LinkCost, Problem, Wire

# A coarse grid with zeros makes ties and free stages common; the floats make everything else.
MS = st.one_of(st.integers(0, 12).map(lambda n: n / 4), st.floats(0, 50, allow_subnormal=False))
NBYTES = st.one_of(st.just(0.0), st.integers(1, 64).map(lambda n: n * 1024.0), st.floats(1, 1e5))
SPEED = st.sampled_from((0.05, 0.1, 0.5, 1.0, 1.0, 2.0, 7.0))
SHARE = st.one_of(st.sampled_from((0.0, 0.25, 0.5, 1.0)), st.floats(0, 1))
LINK = st.builds(
    LinkCost,
    bandwidth_bps=st.sampled_from((1e5, 1e6, 2e7, 1e9, float("inf"))),
    delay_ms=MS,
    overhead_ms=st.sampled_from((0.0, 0.5)),
)


@st.composite
def wires(draw: st.DrawFn) -> tuple[Wire, ...]:
    codecs = draw(st.lists(st.sampled_from(("none", "f16", "u8")), unique=True, max_size=3))
    return tuple(Wire(codec, draw(NBYTES), draw(MS), draw(MS)) for codec in codecs)


@st.composite
def problems(draw: st.DrawFn, *, max_steps: int = 5, max_exits: int = 3) -> Problem:
    steps = draw(st.integers(1, max_steps))
    positions = sorted(draw(st.lists(st.integers(0, steps - 1), max_size=max_exits)))
    exits = tuple(ExitPoint(f"exit{n}", position, draw(MS)) for n, position in enumerate(positions))
    survival = {frozenset[int](): 1.0}
    for size in (1, 2):
        survival |= {frozenset(used): draw(SHARE) for used in combinations(range(len(exits)), size)}
    return Problem(
        cost_ms=tuple(draw(MS) for _ in range(steps)),
        wires=tuple(draw(wires()) for _ in range(steps + 1)),
        speeds=(draw(SPEED), draw(SPEED), draw(SPEED)),
        links=(draw(LINK), draw(LINK)),
        exits=exits,
        survival=survival,
        answer_nbytes=draw(st.sampled_from((0.0, 40.0, 4000.0))),
        exit_on_device_required=draw(st.booleans()),
    )
