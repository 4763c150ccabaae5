"""The inference operators of ONNX (opset 13 and later) on torch tensors, a file for each family."""

from splitnet.learn.operators.call import Call, Operator, Table
from splitnet.learn.operators.registry import OPERATORS

__all__ = ["OPERATORS", "Call", "Operator", "Table"]
