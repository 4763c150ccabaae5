"""What the planner is told of a coding."""

import numpy as np
import pytest

from splitnet.coding import encode, measure
from splitnet.errors import InvalidArgumentError

NOISE = [np.random.default_rng(seed).integers(0, 256, (1, 3, 16, 16), np.uint8) for seed in range(3)]
ZEROS = [np.zeros((1, 3, 16, 16), np.uint8)] * 2


def test_sizes_are_those_that_are_sent() -> None:
    both = measure("zstd", [NOISE[0], ZEROS[0]])
    assert both.bytes_per_sample == (768 + len(encode("zstd", ZEROS[0]))) / 2
    assert len(encode("zstd", NOISE[0])) > 768  # which is why the first counts as it is
    assert measure("none", NOISE).bytes_per_sample == 768


def test_a_larger_tensor_takes_longer() -> None:
    large = np.random.default_rng(0).integers(0, 16, (1, 2**20), np.uint8)
    slow, fast = measure("zstd", [large] * 3), measure("zstd", [large[:, :256]] * 3)
    assert slow.encode_ms > 10 * fast.encode_ms > 0
    assert slow.decode_ms > 10 * fast.decode_ms > 0


def test_nothing_cannot_be_measured() -> None:
    with pytest.raises(InvalidArgumentError, match="at least one sample"):
        measure("zstd", [])
    with pytest.raises(InvalidArgumentError, match="expected uint8 images"):
        measure("png", [np.zeros((1, 4), np.uint8)])
