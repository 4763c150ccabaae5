"""Learning: what a fleet of devices learns together, and what is trained when a model is cut.

Nothing is re-exported, since the parts need different packages: torch (`bottleneck`, `onnx_as_torch`), onnx-ir
(`gradient`, `step`, `heads`), Flower (`flower`); the rest, which a device loads, needs numpy, onnxruntime and
cryptography alone.
"""
