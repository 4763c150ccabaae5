"""The named constants of one ONNX file: reading them, and writing the file again with others in their place."""

from collections.abc import Collection
from pathlib import Path

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph.load import model_bytes, read_model
from splitnet.graph.weight_files import WeightsFile, WeightStore
from splitnet.graph.weights import all_graphs
from splitnet.tensors import Tensors


def read_initialisers(path: Path, names: Collection[str]) -> Tensors:
    """Return those initialisers of the file that are among `names`, whether inside it or beside it.

    Raises:
        NotFoundError: there is no such file.
        ModelError: it cannot be read.
    """
    found = _found(read_model(path), names)
    return {value.name or "": value.const_value.numpy() for value in found if value.const_value is not None}


def with_initialisers(path: Path, values: Tensors, *, beside: bool) -> tuple[bytes, tuple[WeightsFile, ...]]:
    """Return the file anew with `values` as its initialisers of these names; all else stays.

    Args:
        path: the ONNX file.
        values: by name; of the types and shapes that are there.
        beside: put large weights into files of their own, as `WeightStore` does.

    Returns:
        The ONNX file's bytes and the files beside it.

    Raises:
        NotFoundError: there is no such file.
        ModelError: it cannot be read, has no such initialiser, or one of another type or shape.
    """
    model = read_model(path)
    found = {value.name: value for value in _found(model, values)}
    for name, array in values.items():
        tensor = found[name].const_value if name in found else None
        there = "not there" if tensor is None else f"{tensor.dtype.numpy()} {list(tensor.shape.numpy())}"
        if there != f"{array.dtype} {list(array.shape)}":
            raise ModelError(
                f"{path}: initialiser {name!r} is {there}; {array.dtype} {list(array.shape)} was to replace it"
            )
        found[name].const_value = ir.tensor(array, name=name)
    return WeightStore().split(model) if beside else (model_bytes(model), ())


def _found(model: ir.Model, names: Collection[str]) -> list[ir.Value]:
    return [
        value
        for graph in all_graphs(model)
        for value in graph.initializers.values()
        if value.name in names and value.const_value is not None
    ]
