"""What a model is run on: calibration data, or random inputs that stand in for them."""

from pathlib import Path

import numpy as np

from splitnet.samples import Samples, read_samples
from splitnet.tensors import Array, TensorSpec

_COUNT = 8


def samples_for(specs: tuple[TensorSpec, ...], calibration: Path | None, *, seed: int) -> Samples:
    """Return the samples of the file `calibration`, or without one, seeded random ones (see `read_samples`)."""
    return random_samples(specs, seed=seed) if calibration is None else read_samples(calibration, specs)


def random_samples(specs: tuple[TensorSpec, ...], *, seed: int) -> Samples:
    """Return seeded random samples: good for shapes and times, not for ranges, exits or accuracy."""
    generator = np.random.default_rng(seed)
    batched = any(spec.batch_axis is not None for spec in specs)
    inputs = {spec.name: _random(spec, generator) for spec in specs}
    return Samples(specs, inputs, None, _COUNT if batched else 1)


def _random(spec: TensorSpec, generator: np.random.Generator) -> Array:
    shape = [size if isinstance(size, int) else _COUNT for size in spec.shape]
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return generator.standard_normal(shape).astype(dtype)
    if dtype.itemsize == 1 and dtype.kind in "ui":
        return generator.integers(0, 128, shape).astype(dtype)
    # Wider integers are mostly indices into tables: 0 and 1 are legal in all of them.
    return generator.integers(0, 2, shape).astype(dtype)
