"""Training steps as ONNX graphs, written where a model is partitioned; onnx_ir, no torch."""

from splitnet.learn.step.graphs import TrainingGraphs, training_graphs
from splitnet.learn.step.subject import Scope, Subject

__all__ = ["Scope", "Subject", "TrainingGraphs", "training_graphs"]
