"""Constants, shapes as values, element types, and what does nothing at inference."""

import torch
from torch import Tensor

from splitnet.learn.operators.call import Call, Table, elementwise

#: Element types by ONNX's number for them (onnx.TensorProto.DataType).
_DTYPES: dict[int, torch.dtype] = {
    1: torch.float32,
    2: torch.uint8,
    3: torch.int8,
    4: torch.uint16,
    5: torch.int16,
    6: torch.int32,
    7: torch.int64,
    9: torch.bool,
    10: torch.float16,
    11: torch.float64,
    12: torch.uint32,
    13: torch.uint64,
    16: torch.bfloat16,
}


def _cast(call: Call) -> Tensor:
    number = call.attribute("to", 0)
    call.require(number in _DTYPES, f"element type {number} is unknown")
    return call.x.to(_DTYPES[number])


def _constant(call: Call) -> Tensor:
    for name, dtype in (("value_float", torch.float32), ("value_int", torch.int64)):
        if name in call.attributes or f"{name}s" in call.attributes:
            return torch.tensor(call.attributes.get(name, call.attributes.get(f"{name}s")), dtype=dtype)
    value: Tensor | None = call.attribute("value", None)
    if value is None:
        raise call.refused(f"a constant from {sorted(call.attributes)}")
    return value


def _filled(call: Call) -> Tensor:
    value = call.attribute("value", torch.zeros(1))
    return value.reshape(()).expand(call.integers(0) or []).clone()


def _shape(call: Call) -> Tensor:
    start, end = call.attribute("start", 0), call.attribute("end", None)
    return torch.tensor(list(call.x.shape)[start:end], dtype=torch.int64)


def _dropout(call: Call) -> Tensor:
    call.require(call.outputs == 1, "its mask is asked for")
    training = call.given(2)
    call.require(training is None or not bool(training), "training_mode is on")
    return call.x


VALUES: Table = {
    "Cast": _cast,
    "CastLike": lambda call: call.x.to(call.required(1).dtype),
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Dropout": _dropout,
    "Identity": elementwise(lambda x: x),
    "Shape": _shape,
    "Size": lambda call: torch.tensor(call.x.numel(), dtype=torch.int64),
}
