"""Gradients as our graphs compute them, held against torch's of the same ONNX graph."""

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
import onnx_ir as ir
import torch
from onnx import helper

from splitnet.learn.gradient import pull_back
from splitnet.learn.onnx_as_torch import as_torch
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import Array, Tensors


def seeded(proto: onnx.ModelProto, by: Sequence[str]) -> ir.Model:
    """The graph with the gradients of `by` as outputs, `d.NAME`; those of its outputs are inputs, `seed.NAME`."""
    model = ir.from_proto(onnx.shape_inference.infer_shapes(proto, strict_mode=True))
    graph = model.graph
    values = ir.convenience.create_value_mapping(graph)
    seeds = {value: _like(value, f"seed.{value.name}") for value in graph.outputs}
    graph.inputs.extend(seeds.values())
    made = pull_back(graph, seeds, [values[name] for name in by])
    graph.outputs.clear()
    for name, gradient in zip(by, made, strict=True):
        # One that flows through unchanged is a graph's input, which cannot be its output too.
        graph.append(ir.node("Identity", [gradient], outputs=[_like(values[name], f"d.{name}")]))
        graph.outputs.append(graph[-1].outputs[0])
    onnx.checker.check_model(ir.to_proto(model), full_check=True)
    return model


def _like(value: ir.Value, name: str) -> ir.Value:
    return ir.Value(name=name, type=value.type, shape=value.shape)


def ours(proto: onnx.ModelProto, feeds: Tensors, seeds: Tensors, by: Sequence[str]) -> Tensors:
    typed = onnx.ModelProto()
    typed.CopyFrom(proto)
    for output in typed.graph.output:
        # Shape inference knows nothing of what GroupNormalization makes.
        seed = seeds[output.name]
        dtype = helper.np_dtype_to_tensor_dtype(seed.dtype)
        output.CopyFrom(helper.make_tensor_value_info(output.name, dtype, seed.shape))
    content = ir.to_proto(seeded(typed, by)).SerializeToString()
    session = OnnxSession(content, name="backward")
    return session.run(feeds | {f"seed.{name}": array for name, array in seeds.items()})


def of_torch(proto: onnx.ModelProto, feeds: Tensors, seeds: Tensors, by: Sequence[str]) -> Tensors:
    tensors = {name: torch.from_numpy(array) for name, array in feeds.items()}
    for name in by:
        tensors[name].requires_grad_()
    made = as_torch(ir.from_proto(proto))(tensors)
    loss = sum((made[name] * torch.from_numpy(seed)).sum() for name, seed in seeds.items())
    gradients = torch.autograd.grad(loss, [tensors[name] for name in by])
    return {f"d.{name}": gradient.numpy() for name, gradient in zip(by, gradients, strict=True)}


def assert_close(found: Mapping[str, Array], wanted: Mapping[str, Array], *, tolerance: float = 1e-5) -> None:
    """Types, shapes and values are equal, the values up to `tolerance` of the largest."""
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape), name
        scale = max(1.0, float(np.abs(array).max(initial=0.0)))
        np.testing.assert_allclose(found[name], array, rtol=0, atol=tolerance * scale, err_msg=name)


def assert_gradients(proto: onnx.ModelProto, feeds: Tensors, by: Sequence[str]) -> None:
    """Both differentiate a weighted sum of the outputs by `by`, with the same result."""
    shapes = OnnxSession(proto.SerializeToString(), name="forward", optimisation="none").run(feeds)
    rng = np.random.default_rng(0)
    seeds = {name: rng.standard_normal(array.shape).astype(array.dtype) for name, array in shapes.items()}
    assert_close(ours(proto, feeds, seeds, by), of_torch(proto, feeds, seeds, by))


def fed(proto: onnx.ModelProto, names: Sequence[str]) -> tuple[onnx.ModelProto, Tensors]:
    """The graph with the initialisers `names` as inputs, and their values."""
    copy, values = onnx.ModelProto(), {}
    copy.CopyFrom(proto)
    for tensor in [each for each in copy.graph.initializer if each.name in names]:
        values[tensor.name] = onnx.numpy_helper.to_array(tensor).copy()
        copy.graph.initializer.remove(tensor)
        info = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        copy.graph.input.append(info)
    return copy, values
