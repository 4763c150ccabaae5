"""Graphs of one operator, run by onnxruntime and as torch functions."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import helper, numpy_helper

from splitnet.learn.onnx_as_torch import TorchGraph, as_torch
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import Array

#: Bound on the opset, which decides the version of the file format too.
_IR_VERSION = 10


def single(
    operator: str,
    inputs: Sequence[Array | None],
    *,
    outputs: int = 1,
    opset: int = 20,
    attributes: Mapping[str, Any] | None = None,
) -> onnx.ModelProto:
    """A graph of one node: the first input is the graph's own, `x`; the others are constants."""
    names = ["" if array is None else f"i{index}" if index else "x" for index, array in enumerate(inputs)]
    results = [f"y{index}" for index in range(outputs)]
    node = helper.make_node(operator, names, results, name="node", **(attributes or {}))
    constants = [
        numpy_helper.from_array(array, name)
        for name, array in zip(names[1:], inputs[1:], strict=True)
        if array is not None
    ]
    first = [_described("x", inputs[0])] if inputs and inputs[0] is not None else []
    infos = [onnx.ValueInfoProto(name=name) for name in results]
    graph = helper.make_graph([node], "single", first, infos, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=_IR_VERSION)


def _described(name: str, array: Array) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def torch_graph(proto: onnx.ModelProto) -> TorchGraph:
    return as_torch(ir.from_proto(proto))


def assert_same(proto: onnx.ModelProto, feeds: Mapping[str, Array], *, tolerance: float = 1e-5) -> None:
    """Both run the graph: types, shapes and values are equal, the values up to `tolerance` of the largest."""
    wanted = OnnxSession(proto.SerializeToString(), name="the graph", optimisation="none").run(dict(feeds))
    with torch.no_grad():
        made = torch_graph(proto)({name: torch.from_numpy(array) for name, array in feeds.items()})
    assert made.keys() == wanted.keys()
    for name, array in wanted.items():
        found = made[name].numpy()
        assert (found.dtype, found.shape) == (array.dtype, array.shape), name
        scale = max(1.0, float(np.abs(array[np.isfinite(array)]).max(initial=0.0))) if array.size else 1.0
        np.testing.assert_allclose(found, array, rtol=0, atol=tolerance * scale, err_msg=name)
