"""The routing rule: which samples leave at an exit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def leaves(confidence: NDArray[Any], threshold: float) -> NDArray[np.bool_]:
    """Return for each sample whether it leaves: its confidence reaches `threshold`.

    Args:
        confidence: `[batch]`, or `[batch, 1]`, of a float type; NaN never leaves.
        threshold: the confidence from which the exit answers.
    """
    sure: NDArray[np.bool_] = confidence.reshape(-1) >= np.float32(threshold)
    return sure
