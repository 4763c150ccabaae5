"""Times of kernels given to the nodes that they did the work of."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.cost.attribution import NodeTensors, attribute

COMMON = settings(derandomize=True, deadline=None)


def chain(*names: str) -> dict[str, NodeTensors]:
    """Nodes that each read what the one before makes, in a tensor called after that."""
    before = ("input", *names)
    return {
        name: NodeTensors((f"{source}_out",), (f"{name}_out",))
        for source, name in zip(before, names, strict=False)
    }


NODES = chain("a", "b", "c", "d")
ALONE = {"a": 10.0, "b": 30.0, "c": 5.0, "d": 20.0}


@pytest.mark.parametrize(
    ("full_us", "expected"),
    [
        pytest.param(ALONE, ALONE, id="as at basic"),
        pytest.param(
            {"a": 8.0, "b": 20.0, "d": 18.0}, {"a": 8.0, "b": 20.0, "c": 0.0, "d": 18.0}, id="one left out"
        ),
        pytest.param(
            {"a": 8.0, "c_out_nchwc": 14.0, "d": 18.0},
            {"a": 8.0, "b": 12.0, "c": 2.0, "d": 18.0},
            id="by its tensor",
        ),
        pytest.param(
            {"a": 8.0, "ReorderInput_token_3": 6.0, "c_out_nchwc_token_7": 15.0, "ReorderOutput": 4.0, "d": 18.0},
            {"a": 8.0, "b": 25 * 30 / 35, "c": 25 * 5 / 35, "d": 18.0},
            id="layouts",
        ),
        pytest.param(
            {"a": 8.0, "BiasGelu_token_2": 14.0, "d": 18.0},
            {"a": 8.0, "b": 12.0, "c": 2.0, "d": 18.0},
            id="a nameless kernel",
        ),
        pytest.param(
            {"a": 8.0, "b": 20.0, "c": 5.0, "Softmax": 1.0, "d": 18.0},
            {"a": 8.0, "b": 20.0, "c": 5.0, "d": 19.0},
            id="a nameless kernel beside all nodes",
        ),
        pytest.param(
            {"a/MatMulScaleFusion/": 8.0, "fused b": 20.0, "b/Add/Cast": 1.0, "d": 18.0, "Cast": 2.0},
            {"a": 8.0, "b": 21.0, "c": 0.0, "d": 20.0},
            id="more in the name",
        ),
    ],
)
def test_attribution(full_us: dict[str, float], expected: dict[str, float]) -> None:
    assert attribute(full_us, ALONE, NODES) == pytest.approx(expected)


def test_a_branch_goes_with_what_reads_it() -> None:
    nodes = {
        "left": NodeTensors(("x",), ("l",)),
        "right": NodeTensors(("x",), ("r",)),
        "sum": NodeTensors(("l", "r"), ("s",)),
    }
    alone = {"left": 30.0, "right": 10.0, "sum": 2.0}
    found = attribute({"right": 9.0, "s_nchwc": 32.0}, alone, nodes)  # the left convolution takes the sum along
    assert found == pytest.approx({"left": 30.0, "right": 9.0, "sum": 2.0})


KERNELS = st.one_of(
    st.sampled_from(list(NODES)),
    st.sampled_from([f"{name}_out_nchwc" for name in NODES]),
    st.text("abcd/_", min_size=1, max_size=6),
    st.sampled_from(["ReorderInput", "ReorderOutput", "BiasGelu_token_1", "fused c", "d_token_4"]),
)
TIMES = st.dictionaries(KERNELS, st.integers(0, 1000).map(float), max_size=8)


@COMMON
@given(full_us=TIMES, basic_us=TIMES)
def test_no_time_is_lost_or_made(full_us: dict[str, float], basic_us: dict[str, float]) -> None:
    found = attribute(full_us, basic_us, NODES)
    assert list(found) == list(NODES)
    assert min(found.values()) >= 0
    assert sum(found.values()) == pytest.approx(sum(full_us.values()))
