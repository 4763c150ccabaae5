"""Every operator by its name."""

from splitnet.learn.operators.activations import ACTIVATIONS
from splitnet.learn.operators.arithmetic import ARITHMETIC
from splitnet.learn.operators.call import Table
from splitnet.learn.operators.comparison import COMPARISON
from splitnet.learn.operators.convolution import CONVOLUTION
from splitnet.learn.operators.indexing import INDEXING
from splitnet.learn.operators.layout import LAYOUT
from splitnet.learn.operators.matrices import MATRICES
from splitnet.learn.operators.normalisation import NORMALISATION
from splitnet.learn.operators.padding import PADDING
from splitnet.learn.operators.pooling import POOLING
from splitnet.learn.operators.reduction import REDUCTION
from splitnet.learn.operators.resize import RESIZE
from splitnet.learn.operators.values import VALUES

#: ONNX's own operators (domain "") by name.
OPERATORS: Table = {
    **ACTIVATIONS,
    **ARITHMETIC,
    **COMPARISON,
    **CONVOLUTION,
    **INDEXING,
    **LAYOUT,
    **MATRICES,
    **NORMALISATION,
    **PADDING,
    **POOLING,
    **REDUCTION,
    **RESIZE,
    **VALUES,
}
