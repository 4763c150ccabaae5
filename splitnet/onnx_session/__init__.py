"""Onnxruntime: sessions, what computes them, and models kept as optimised for this machine."""

from splitnet.onnx_session.optimised import OptimisedFile
from splitnet.onnx_session.providers import CPU, available_providers, check_provider
from splitnet.onnx_session.session import LinkedModel, OnnxModel, OnnxSession, Optimisation

__all__ = [
    "CPU",
    "LinkedModel",
    "OnnxModel",
    "OnnxSession",
    "Optimisation",
    "OptimisedFile",
    "available_providers",
    "check_provider",
]
