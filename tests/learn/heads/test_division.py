"""Samples that train heads and samples that judge them: disjoint, and decided by the samples themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError
from splitnet.learn.heads import Division, divide
from splitnet.samples import Samples
from splitnet.tensors import Array, TensorSpec

SPECS = (TensorSpec("x", "float32", ("batch", 2)), TensorSpec("table", "float32", (3,)))


def samples(values: Array) -> Samples:
    """Samples told apart by `values`, which are their labels as well."""
    x = np.stack([values, -values], axis=1).astype(np.float32)
    return Samples(SPECS, {"x": x, "table": np.ones(3, np.float32)}, np.asarray(values), len(values))


def contents(part: Samples) -> list[float]:
    assert part.labels is not None
    np.testing.assert_array_equal(part.labels, part.inputs["x"][:, 0])
    assert part.inputs["table"].shape == (3,)
    assert part.count == len(part.labels)
    return [float(value) for value in part.labels]


@given(st.integers(2, 300), st.integers(-(2**63), 2**63), st.data())
def test_every_sample_is_in_one_part(count: int, seed: int, data: st.DataObject) -> None:
    held_out = data.draw(st.integers(1, count - 1))
    parts = divide(samples(np.arange(count)), held_out=held_out, seed=seed)
    assert parts.held_out.count == held_out
    assert sorted(contents(parts.training) + contents(parts.held_out)) == list(range(count))


@given(st.permutations(range(40)), st.integers(0, 5))
def test_the_order_of_the_file_does_not_matter(order: list[int], seed: int) -> None:
    one = divide(samples(np.arange(40)), held_out=15, seed=seed)
    other = divide(samples(np.array(order)), held_out=15, seed=seed)
    assert contents(one.held_out) == sorted(contents(other.held_out))
    # The first of those that train are any of them, however the file is sorted.
    assert contents(one.training) == contents(other.training) != sorted(contents(one.training))


@given(st.lists(st.integers(0, 19)), st.integers(1, 19))
def test_equal_samples_stay_together(again: list[int], held_out: int) -> None:
    parts = divide(samples(np.array([*range(20), *again])), held_out=held_out, seed=1)
    assert not set(contents(parts.training)) & set(contents(parts.held_out))
    assert parts.held_out.count >= held_out


def test_another_seed_divides_otherwise() -> None:
    def held_out(parts: Division) -> set[float]:
        return set(contents(parts.held_out))

    values = samples(np.arange(100))
    one, again, other = (held_out(divide(values, held_out=50, seed=seed)) for seed in (1, 1, 2))
    assert one == again
    # Half of them by chance.
    assert 15 <= len(one & other) <= 35


def test_equal_samples_alone_cannot_be_divided() -> None:
    with pytest.raises(InvalidArgumentError, match=r"9 calibration samples, 1 of them different"):
        divide(samples(np.zeros(9)), held_out=3, seed=0)
