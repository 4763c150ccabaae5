"""What only a collection of circles would free: kept by nobody, and not freed."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def uncollected() -> Iterator[None]:
    """Have no circles collected until the block is left; what there was before is not looked at in it either."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


def tensors_in_circles() -> list[tuple[int, ...]]:
    """Collect circles, and return the shapes of the arrays that these had kept."""
    shapes = _shapes_in(_circles())
    gc.collect()  # now they are freed; the next call would find them again
    return shapes


def _circles() -> list[Any]:
    """Return what only circles keep."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return gc.garbage[:]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


def _shapes_in(found: list[Any]) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    seen = {id(each) for each in found}
    # The collector does not follow arrays, nor what holds nothing else.
    while found:
        for each in gc.get_referents(found.pop()):
            if id(each) in seen or gc.is_tracked(each):
                continue
            seen.add(id(each))
            if isinstance(each, np.ndarray):
                shapes.append(each.shape)
            elif isinstance(each, dict | tuple):
                found.append(each)
    return shapes
