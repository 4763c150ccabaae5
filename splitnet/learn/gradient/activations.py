"""Backward of activations. At a kink the slope is the one that torch takes."""

import math

import onnx_ir as ir

from splitnet.learn.gradient.call import Call, Gradients, Table, first, scaled, unbroadcast


def _positive(call: Call) -> ir.Value:
    return call.op("Greater", call.x, 0.0)


def _relu(call: Call) -> ir.Value:
    return call.op("Where", _positive(call), call.dy, 0.0)


def _leaky_relu(call: Call) -> ir.Value:
    return call.op("Where", _positive(call), call.dy, call.op("Mul", call.dy, call.attribute("alpha", 0.01)))


def _thresholded_relu(call: Call) -> ir.Value:
    return call.op("Where", call.op("Greater", call.x, call.attribute("alpha", 1.0)), call.dy, 0.0)


def _prelu(call: Call) -> Gradients:
    """The slope of the negative side is broadcast to x."""
    made: dict[int, ir.Value] = {}
    slope = call.required(1)
    if 0 in call.wanted:
        made[0] = call.op("Where", _positive(call), call.dy, call.op("Mul", call.dy, slope))
    if 1 in call.wanted:
        negative = call.op("Mul", call.dy, call.op("Min", call.x, 0.0))
        made[1] = unbroadcast(call, negative, slope, call.dimensions(call.x))
    return made


def _clip(call: Call) -> ir.Value:
    """Nothing at the bounds themselves, as of torch's relu6."""
    low, high = call.given(1), call.given(2)
    gradient = call.dy
    if low is not None:
        gradient = call.op("Where", call.op("Greater", call.x, low), gradient, 0.0)
    if high is not None:
        gradient = call.op("Where", call.op("Less", call.x, high), gradient, 0.0)
    return gradient


def _elu(call: Call) -> ir.Value:
    """The slope of alpha (e^x - 1) is y + alpha."""
    below = call.op("Mul", call.dy, call.op("Add", call.y, call.attribute("alpha", 1.0)))
    return call.op("Where", _positive(call), call.dy, below)


def _celu(call: Call) -> ir.Value:
    below = call.op("Mul", call.dy, call.op("Exp", call.op("Div", call.x, call.attribute("alpha", 1.0))))
    return call.op("Where", _positive(call), call.dy, below)


def _selu(call: Call) -> ir.Value:
    # Klambauer et al., "Self-normalizing neural networks", 2017, as ONNX rounds them.
    gamma = call.attribute("gamma", 1.05070102214813232421875)
    alpha = call.attribute("alpha", 1.67326319217681884765625)
    below = call.op("Mul", call.dy, call.op("Add", call.y, gamma * alpha))
    return call.op("Where", _positive(call), call.op("Mul", call.dy, gamma), below)


def _sigmoid(call: Call) -> ir.Value:
    return call.op("Mul", call.y, call.op("Sub", 1.0, call.y))


def _inside(call: Call, alpha: float, beta: float) -> ir.Value:
    """Where alpha x + beta lies between 0 and 1."""
    line = call.op("Add", call.op("Mul", call.x, alpha), beta)
    return call.op("And", call.op("Greater", line, 0.0), call.op("Less", line, 1.0))


def _hard_sigmoid(call: Call) -> ir.Value:
    alpha, beta = call.attribute("alpha", 0.2), call.attribute("beta", 0.5)
    return call.op("Where", _inside(call, alpha, beta), call.op("Mul", call.dy, alpha), 0.0)


def _hard_swish(call: Call) -> ir.Value:
    between = call.op("Mul", call.dy, call.op("Add", call.op("Div", call.x, 3.0), 0.5))
    beyond = call.op("Where", _positive(call), call.dy, 0.0)
    return call.op("Where", _inside(call, 1 / 6, 0.5), between, beyond)


def _gelu(call: Call) -> ir.Value:
    """Hendrycks and Gimpel, "Gaussian error linear units", 2016: the slope of x P(x), exact or by tanh."""
    if call.attribute("approximate", "none") == "tanh":
        return _gelu_by_tanh(call)
    share = call.op("Add", call.op("Erf", call.op("Mul", call.x, math.sqrt(0.5))), 1.0)
    density = call.op("Exp", call.op("Mul", call.op("Mul", call.x, call.x), -0.5))
    grown = call.op("Mul", call.op("Mul", call.x, density), 1 / math.sqrt(2 * math.pi))
    return call.op("Add", call.op("Mul", share, 0.5), grown)


def _gelu_by_tanh(call: Call) -> ir.Value:
    cubic, scale = 0.044715, math.sqrt(2 / math.pi)
    square = call.op("Mul", call.x, call.x)
    inner = call.op("Mul", call.op("Mul", call.x, scale), call.op("Add", call.op("Mul", square, cubic), 1.0))
    tanh = call.op("Tanh", inner)
    slope = call.op("Mul", call.op("Add", call.op("Mul", square, 3 * cubic), 1.0), scale)
    sech = call.op("Sub", 1.0, call.op("Mul", tanh, tanh))
    grown = call.op("Mul", call.op("Mul", call.x, sech), slope)
    return call.op("Mul", call.op("Add", call.op("Add", tanh, 1.0), grown), 0.5)


def _mish(call: Call) -> ir.Value:
    tanh = call.op("Tanh", call.op("Softplus", call.x))
    sech = call.op("Sub", 1.0, call.op("Mul", tanh, tanh))
    return call.op("Add", tanh, call.op("Mul", call.x, call.op("Mul", sech, call.op("Sigmoid", call.x))))


def _swish(call: Call) -> ir.Value:
    alpha = call.attribute("alpha", 1.0)
    gate = call.op("Sigmoid", call.op("Mul", call.x, alpha))
    return call.op("Add", gate, call.op("Mul", call.op("Mul", call.y, alpha), call.op("Sub", 1.0, gate)))


def _softsign(call: Call) -> ir.Value:
    rest = call.op("Add", call.op("Abs", call.x), 1.0)
    return call.op("Reciprocal", call.op("Mul", rest, rest))


def _softmax(call: Call) -> ir.Value:
    axes = [call.attribute("axis", -1)]
    weighted = call.op("Mul", call.dy, call.y)
    return call.op("Sub", weighted, call.op("Mul", call.y, call.sum(weighted, axes)))


def _log_softmax(call: Call) -> ir.Value:
    total = call.sum(call.dy, [call.attribute("axis", -1)])
    return call.op("Sub", call.dy, call.op("Mul", call.op("Exp", call.y), total))


ACTIVATIONS: Table = {
    "Celu": first(_celu),
    "Clip": first(_clip),
    "Elu": first(_elu),
    "Gelu": scaled(_gelu),
    "HardSigmoid": first(_hard_sigmoid),
    "HardSwish": first(_hard_swish),
    "LeakyRelu": first(_leaky_relu),
    "LogSoftmax": first(_log_softmax),
    "Mish": scaled(_mish),
    "PRelu": _prelu,
    "Relu": first(_relu),
    "Selu": first(_selu),
    "Sigmoid": scaled(_sigmoid),
    "Softmax": first(_softmax),
    "Softplus": scaled(lambda call: call.op("Sigmoid", call.x)),
    "Softsign": scaled(_softsign),
    "Swish": scaled(_swish),
    "Tanh": scaled(lambda call: call.op("Sub", 1.0, call.op("Mul", call.y, call.y))),
    "ThresholdedRelu": first(_thresholded_relu),
}
