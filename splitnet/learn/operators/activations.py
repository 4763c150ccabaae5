"""Activations."""

import torch
from torch import Tensor
from torch.nn import functional

from splitnet.learn.operators.call import Call, Table, elementwise


def _clip(call: Call) -> Tensor:
    low, high = call.given(1), call.given(2)
    above = call.x if low is None else torch.maximum(call.x, low)
    return above if high is None else torch.minimum(above, high)


def _gelu(call: Call) -> Tensor:
    return functional.gelu(call.x, approximate=call.attribute("approximate", "none"))


def _hard_sigmoid(call: Call) -> Tensor:
    return torch.clamp(call.x * call.attribute("alpha", 0.2) + call.attribute("beta", 0.5), 0, 1)


def _selu(call: Call) -> Tensor:
    # The defaults of Klambauer et al., "Self-normalizing neural networks", 2017, as ONNX rounds them.
    alpha = call.attribute("alpha", 1.67326319217681884765625)
    return call.attribute("gamma", 1.05070102214813232421875) * functional.elu(call.x, alpha)


def _prelu(call: Call) -> Tensor:
    return torch.where(call.x < 0, call.x * call.required(1), call.x)


def _thresholded_relu(call: Call) -> Tensor:
    return torch.where(call.x > call.attribute("alpha", 1.0), call.x, torch.zeros_like(call.x))


ACTIVATIONS: Table = {
    "Celu": lambda call: functional.celu(call.x, call.attribute("alpha", 1.0)),
    "Clip": _clip,
    "Elu": lambda call: functional.elu(call.x, call.attribute("alpha", 1.0)),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": elementwise(functional.hardswish),
    "LeakyRelu": lambda call: functional.leaky_relu(call.x, call.attribute("alpha", 0.01)),
    "LogSoftmax": lambda call: torch.log_softmax(call.x, call.attribute("axis", -1)),
    "Mish": elementwise(functional.mish),
    "PRelu": _prelu,
    "Relu": elementwise(torch.relu),
    "Selu": _selu,
    "Sigmoid": elementwise(torch.sigmoid),
    "Softmax": lambda call: torch.softmax(call.x, call.attribute("axis", -1)),
    "Softplus": elementwise(functional.softplus),
    "Softsign": elementwise(functional.softsign),
    "Swish": lambda call: call.x * torch.sigmoid(call.attribute("alpha", 1.0) * call.x),
    "Tanh": elementwise(torch.tanh),
    "ThresholdedRelu": _thresholded_relu,
}
