"""Normalisation, at inference: batch normalisation has its statistics fixed."""

import torch
from torch import Tensor
from torch.nn import functional

from splitnet.learn.operators.call import Call, Table

# From this opset on GroupNormalization scales channels; before, groups.
_SCALES_CHANNELS = 21


def _batch(call: Call) -> Tensor:
    call.require(not call.attribute("training_mode", 0), "training_mode is on")
    scale, bias, mean, variance = (call.required(index) for index in range(1, 5))
    return functional.batch_norm(
        call.x, mean, variance, scale, bias, training=False, eps=call.attribute("epsilon", 1e-5)
    )


def _layer(call: Call) -> Tensor:
    call.require(call.outputs == 1, "mean and deviation are asked for")
    axes = list(range(call.attribute("axis", -1) % call.x.ndim, call.x.ndim))
    variance, mean = torch.var_mean(call.x, axes, correction=0, keepdim=True)
    normal = (call.x - mean) * torch.rsqrt(variance + call.attribute("epsilon", 1e-5))
    bias = call.given(2)
    scaled = normal * call.required(1)
    return scaled if bias is None else scaled + bias


def _root_mean_square(call: Call) -> Tensor:
    axes = list(range(call.attribute("axis", -1) % call.x.ndim, call.x.ndim))
    square = call.x.square().mean(axes, keepdim=True)
    return call.x * torch.rsqrt(square + call.attribute("epsilon", 1e-5)) * call.required(1)


def _group(call: Call) -> Tensor:
    groups = call.attribute("num_groups", 1)
    scale, bias = call.required(1), call.required(2)
    if call.opset < _SCALES_CHANNELS:
        scale, bias = (each.repeat_interleave(call.x.shape[1] // groups) for each in (scale, bias))
    return functional.group_norm(call.x, groups, scale, bias, call.attribute("epsilon", 1e-5))


def _instance(call: Call) -> Tensor:
    scale, bias = call.required(1), call.required(2)
    # Each channel is a group of its own; torch's instance_norm refuses a single place.
    return functional.group_norm(call.x, call.x.shape[1], scale, bias, call.attribute("epsilon", 1e-5))


def _local_response(call: Call) -> Tensor:
    size = call.attribute("size", 1)
    square = call.x.square()
    around = functional.pad(square.movedim(1, -1), ((size - 1) // 2, size // 2)).unfold(-1, size, 1).sum(-1)
    weighted = call.attribute("alpha", 1e-4) / size * around.movedim(-1, 1)
    return call.x / (call.attribute("bias", 1.0) + weighted) ** call.attribute("beta", 0.75)


def _to_length_one(call: Call) -> Tensor:
    length = torch.linalg.vector_norm(
        call.x, ord=call.attribute("p", 2), dim=call.attribute("axis", -1), keepdim=True
    )
    # Where all is 0, ONNX leaves 0.
    return torch.where(length == 0, torch.zeros_like(call.x), call.x / length)


NORMALISATION: Table = {
    "BatchNormalization": _batch,
    "GroupNormalization": _group,
    "InstanceNormalization": _instance,
    "LRN": _local_response,
    "LayerNormalization": _layer,
    "LpNormalization": _to_length_one,
    "RMSNormalization": _root_mean_square,
}
