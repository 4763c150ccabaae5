"""Numbers as constants of a graph."""

import numpy as np
import onnx_ir as ir

from splitnet.codec.nodes import Nodes


def scalar(nodes: Nodes, number: float, dtype: type[np.floating] = np.float32) -> ir.Value:
    """Return a constant without axes."""
    return nodes.constant(np.array(number, dtype))
