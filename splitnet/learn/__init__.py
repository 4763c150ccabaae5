"""Learning: ONNX graphs as differentiable functions, and bottlenecks trained through them.

Nothing is re-exported: `splitnet.learn.form` needs numpy alone, the other modules import torch.
"""
