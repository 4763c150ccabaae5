"""Gradients of ONNX graphs as ONNX graphs, a file for each family of operators; no torch."""

from splitnet.learn.gradient.pull_back import pull_back
from splitnet.learn.gradient.registry import BACKWARD

__all__ = ["BACKWARD", "pull_back"]
