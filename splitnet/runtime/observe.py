"""Observation: run a model that returns every tensor, and note what each one is."""

from collections.abc import Mapping

from splitnet.runtime.session import Segment
from splitnet.tensors import Array, Tensors


def observe(model: bytes, feeds: Tensors) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Run `model` once without optimisation and return each output's numpy type name and shape.

    Raises:
        ModelError: onnxruntime refuses the model or fails on `feeds`.
    """
    values = Segment(model, name="the whole model", optimisation="none").run(feeds)
    return shapes_of(values)


def shapes_of(values: Mapping[str, Array]) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return the numpy type name and the shape of each array."""
    return {name: (value.dtype.name, tuple(value.shape)) for name, value in values.items()}
