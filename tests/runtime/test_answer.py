"""AnswerBuilder: parts in any order make the whole, in the order asked."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from splitnet.runtime import AnswerBuilder
from splitnet.tensors import Array


@given(st.data())
def test_parts_in_any_order_make_the_whole(data: st.DataObject) -> None:
    samples = data.draw(st.integers(1, 8))
    order = np.array(data.draw(st.permutations(range(samples))), dtype=np.intp)
    cuts = sorted(data.draw(st.sets(st.integers(1, samples - 1)))) if samples > 1 else []
    axes = {"rows": 0, "columns": 1, "deep": 2, "shared": None}
    wholes: dict[str, Array] = {
        "rows": np.arange(samples * 3).reshape(samples, 3),
        "columns": np.arange(samples * 2.0).reshape(2, samples),
        "deep": np.arange(samples * 4, dtype=np.float16).reshape(2, 2, samples),
        "shared": np.arange(5),
    }
    builder = AnswerBuilder(samples, axes)
    # Samples leave in the order in which they came: each part is in order, the parts among themselves are not.
    parts = [np.sort(part) for part in np.split(order, cuts)]
    for part, which in enumerate(parts):
        outputs = {
            name: array if axes[name] is None else array.take(which, axes[name]) for name, array in wholes.items()
        }
        tiers = tuple(f"tier {index}" for index in which)
        builder.place(which, outputs, tiers, ("" if part else "UNAVAILABLE",) * which.size)
    answer = builder.finish()
    assert answer.outputs.keys() == wholes.keys()
    for name, array in wholes.items():
        assert np.array_equal(answer.outputs[name], array)
        assert answer.outputs[name].dtype == array.dtype
    assert answer.exits == tuple(f"tier {index}" for index in range(samples))
    first = set(parts[0].tolist())
    assert answer.fallbacks == tuple("UNAVAILABLE" if index in first else "" for index in range(samples))
    assert answer.fallback


def test_without_any_fallback_there_is_none() -> None:
    builder = AnswerBuilder(1, {"y": 0})
    builder.place(np.array([0]), {"y": np.zeros((1, 2))}, ("cloud",), ("",))
    assert not builder.finish().fallback
