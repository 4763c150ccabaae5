"""What a model makes of samples: a boundary tensor and the outputs, run by onnxruntime and kept within a bound."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from splitnet.graph import extract_segment, model_bytes, spec_of
from splitnet.learn.bottleneck.trained import LEAST_SAMPLES
from splitnet.onnx_session import OnnxSession
from splitnet.samples import Samples
from splitnet.tensors import Array, Tensors, TensorSpec

# What the kept values may take of memory together.
_MOST_BYTES = 512 * 2**20
_BATCH = 16


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """Values that belong together, one row a sample. Compared by identity.

    Attributes:
        boundary: the boundary tensor, float32 `[n, ...]`.
        outputs: by name, `[n, ...]`: those of the model's outputs whose first axis counts the samples.
    """

    boundary: NDArray[np.float32]
    outputs: Tensors

    @property
    def count(self) -> int:
        """How many samples."""
        return int(self.boundary.shape[0])

    def take(self, which: NDArray[np.intp] | slice) -> "Observed":
        """Return the samples `which`; those of a slice are no copies."""
        return Observed(self.boundary[which], {name: array[which] for name, array in self.outputs.items()})


def observe(
    model: ir.Model, tensor: TensorSpec, outputs: Sequence[str], samples: Samples, *, seed: int
) -> Observed:
    """Run the uncut model on samples in random order: what fits into 512 MiB, and at least `LEAST_SAMPLES`.

    Args:
        model: with shapes recorded, of any batch size.
        tensor: the boundary tensor; its batch is axis 0.
        outputs: names of the model's outputs.
        samples: for the model.
        seed: of the order.

    Raises:
        InvalidArgumentError: the samples do not fit the model.
        ModelError: the tensor is unknown, or the model cannot be run.
    """
    inputs = [value.name or "" for value in model.graph.inputs]
    whole = extract_segment(model, inputs, [tensor.name, *outputs])
    session = OnnxSession(model_bytes(whole), name=f"the model with {tensor.name!r}")
    specs = [spec_of(model, name) for name in session.outputs]
    kept = [spec for spec in specs if spec is not None and spec.batch_axis == 0]
    affordable = _MOST_BYTES // sum(spec.sample_nbytes for spec in kept)
    count = min(samples.count, max(LEAST_SAMPLES, affordable))
    order = np.random.default_rng(seed).permutation(samples.count)[:count]
    values = {spec.name: _rows(spec, count) for spec in kept}
    for start in range(0, count, _BATCH):
        which = slice(start, start + _BATCH)
        made = session.run(samples.take(order[which].tolist()))
        for name, rows in values.items():
            rows[which] = made[name]
    return Observed(values.pop(tensor.name), values)


def _rows(spec: TensorSpec, count: int) -> Array:
    return np.empty((count, *(size for size in spec.shape[1:] if isinstance(size, int))), spec.dtype)
