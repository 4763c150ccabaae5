"""The protocol's names of element types, and numpy's."""

from splitnet.errors import InvalidArgumentError
from splitnet.protocol.quoting import quote

_DATATYPES = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "float32": "FP32",
    "float64": "FP64",
}
_DTYPES = {datatype: dtype for dtype, datatype in _DATATYPES.items()}

#: Names of the protocol that SplitNet does not carry, and why.
_REFUSED = {
    "BYTES": "a string has no fixed size and crosses no cut",
    "BF16": "numpy has no bfloat16; send FP32 or FP16",
}


def to_datatype(dtype: str) -> str:
    """Return the protocol's name of numpy's element type `dtype`: `float32` is `FP32`.

    Raises:
        InvalidArgumentError: the protocol has no name for it.
    """
    datatype = _DATATYPES.get(dtype)
    if datatype is None:
        raise InvalidArgumentError(f"element type {quote(dtype)}: expected one of {', '.join(_DATATYPES)}")
    return datatype


def from_datatype(datatype: str) -> str:
    """Return numpy's name of the protocol's element type `datatype`: `FP32` is `float32`.

    Raises:
        InvalidArgumentError: it is no name of the protocol, or one that SplitNet does not carry.
    """
    dtype = _DTYPES.get(datatype)
    if dtype is None:
        reason = f" ({_REFUSED[datatype]})" if datatype in _REFUSED else ""
        raise InvalidArgumentError(
            f"datatype {quote(datatype)} is not supported{reason}; expected one of {', '.join(_DTYPES)}"
        )
    return dtype
