"""Forms: how narrow a code is, and that the layers fit every shape."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.learn.bottleneck.form import form_of
from splitnet.tensors import BATCH, TensorSpec

IMAGES = st.tuples(st.integers(8, 96), st.integers(1, 9), st.integers(1, 9))
ROWS = st.one_of(st.tuples(st.integers(8, 300)), st.tuples(st.integers(1, 9), st.integers(8, 300)))


def _spec(shape: tuple[int, ...]) -> TensorSpec:
    return TensorSpec("t", "float32", (BATCH, *shape))


@given(st.one_of(IMAGES, ROWS), st.sampled_from((2, 4, 8, 16, 32, 64)))
def test_a_code_is_as_narrow_as_asked_and_comes_back(shape: tuple[int, ...], reduction: int) -> None:
    form = form_of(_spec(shape), reduction)
    if form is None:
        assert reduction > 8, "eight features always leave one value"
        return
    bottleneck = form.seeded(0)
    assert bottleneck.fits(shape)
    code = bottleneck.code_shape(shape)
    assert code is not None
    assert prod(code) * reduction <= prod(shape)


@pytest.mark.parametrize(
    ("shape", "reduction", "code"),
    [
        ((16, 8, 8), 4, (16, 4, 4)),
        ((16, 1, 8), 4, (4, 1, 8)),
        ((16, 8, 8), 8, (8, 4, 4)),
        ((16, 8, 8), 64, (1, 4, 4)),
        ((512, 7, 7), 16, (98, 4, 4)),
        ((64, 56, 56), 32, (8, 28, 28)),
        ((64, 1, 1), 16, (4, 1, 1)),
        ((197, 768), 16, (197, 48)),
        ((256,), 64, (4,)),
    ],
)
def test_codes(shape: tuple[int, ...], reduction: int, code: tuple[int, ...]) -> None:
    form = form_of(_spec(shape), reduction)
    assert form is not None
    assert form.seeded(0).code_shape(shape) == code


@pytest.mark.parametrize(
    "spec",
    [
        TensorSpec("t", "float16", (BATCH, 64, 8, 8)),
        TensorSpec("t", "float32", (1, 64, 8, 8)),
        TensorSpec("t", "float32", (64, BATCH)),
        TensorSpec("t", "float32", (BATCH, 7, 32, 32)),
        TensorSpec("t", "float32", (BATCH, 64, 4, 4, 4)),
        TensorSpec("t", "float32", (BATCH, 31)),
        TensorSpec("t", "float32", (BATCH,)),
    ],
    ids=lambda spec: f"{spec.dtype}-{spec.shape}",
)
def test_what_has_no_form(spec: TensorSpec) -> None:
    assert form_of(spec, 32) is None


def test_a_seed_decides_the_weights() -> None:
    form = form_of(_spec((16, 8, 8)), 16)
    assert form is not None
    one, same, other = (form.seeded(seed).decoder[0].weight for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
