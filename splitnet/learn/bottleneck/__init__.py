"""Training a bottleneck: a boundary tensor squeezed to fewer values, and what it costs the answers.

Nothing is re-exported: `form` and `trained` need numpy alone, the other modules import torch.
"""
