"""All operators that have a backward function."""

from splitnet.learn.gradient.activations import ACTIVATIONS
from splitnet.learn.gradient.arithmetic import ARITHMETIC
from splitnet.learn.gradient.call import Table
from splitnet.learn.gradient.convolution import CONVOLUTION
from splitnet.learn.gradient.layout import LAYOUT
from splitnet.learn.gradient.matrices import MATRICES
from splitnet.learn.gradient.normalisation import NORMALISATION
from splitnet.learn.gradient.pooling import POOLING
from splitnet.learn.gradient.reduction import REDUCTION

BACKWARD: Table = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **CONVOLUTION,
    **LAYOUT,
    **MATRICES,
    **NORMALISATION,
    **POOLING,
    **REDUCTION,
}
