"""The values of tensors: raw bytes or typed lists of a message <-> numpy arrays."""

import math
import sys
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.datatypes import from_datatype, to_datatype
from splitnet.protocol.quoting import quote
from splitnet.tensors import DTYPES, Array, Tensors

TensorHeader: TypeAlias = pb.ModelInferRequest.InferInputTensor | pb.ModelInferResponse.InferOutputTensor
#: Where a raw tensor begins and ends in its message.
Span: TypeAlias = tuple[int, int]

#: As many axes as numpy took before 2.0; models have at most 8 or so.
MAX_AXES = 32

_WIRE_DTYPES = {to_datatype(dtype): np.dtype(dtype).newbyteorder("<") for dtype in DTYPES}
_DATATYPES = {
    np.dtype(dtype).newbyteorder(order).str: to_datatype(dtype) for dtype in DTYPES for order in ("<", ">")
}

#: The list that holds a datatype's values, and the element type of that list. FP16 has none.
_LISTS: dict[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "bool"),
    "UINT8": ("uint_contents", "uint32"),
    "UINT16": ("uint_contents", "uint32"),
    "UINT32": ("uint_contents", "uint32"),
    "UINT64": ("uint64_contents", "uint64"),
    "INT8": ("int_contents", "int32"),
    "INT16": ("int_contents", "int32"),
    "INT32": ("int_contents", "int32"),
    "INT64": ("int64_contents", "int64"),
    "FP32": ("fp32_contents", "float32"),
    "FP64": ("fp64_contents", "float64"),
}


def to_wire(name: str, array: Array) -> tuple[str, Array]:
    """Return the datatype of tensor `name`, and its values row-major and little-endian, copied where needed.

    Raises:
        InvalidArgumentError: the protocol has no name for the element type.
    """
    datatype = _DATATYPES.get(array.dtype.str)
    if datatype is None:
        raise InvalidArgumentError(
            f"tensor {quote(name)}: element type {array.dtype} is not supported;"
            f" expected one of {', '.join(DTYPES)}"
        )
    return datatype, np.asarray(array, dtype=_WIRE_DTYPES[datatype], order="C")


def from_wire(data: bytes, headers: Sequence[TensorHeader], raw: Sequence[Span], raw_field: str) -> Tensors:
    """Return the tensors of a message by name, read-only.

    Args:
        data: the message; raw tensors are read in place and keep it in memory.
        headers: the message's descriptions of its tensors.
        raw: where the raw tensors lie; empty where the values are in typed lists.
        raw_field: the name of the field that holds raw tensors.

    Raises:
        InvalidArgumentError: what is described and what is there differ; names the tensor.
    """
    layouts: dict[str, tuple[np.dtype[Any], tuple[int, ...]]] = {}
    for header in headers:
        if header.name in layouts:
            raise InvalidArgumentError(f"tensor {quote(header.name)} is there twice")
        layouts[header.name] = _layout(header)
    described = zip(headers, layouts.items(), strict=True)
    if not raw:
        return {name: _from_list(header, *layout, raw_field) for header, (name, layout) in described}
    if len(raw) != len(layouts):
        raise InvalidArgumentError(f"{raw_field}: expected one entry a tensor, {len(layouts)}, got {len(raw)}")
    return {
        name: _from_raw(data, span, header, *layout)
        for span, (header, (name, layout)) in zip(raw, described, strict=True)
    }


def _layout(header: TensorHeader) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Return element type and shape, so checked that the size in bytes fits into the address space."""
    if "shared_memory_region" in header.parameters:
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: shared memory is not supported; send the values in the message"
        )
    dtype = _WIRE_DTYPES.get(header.datatype)
    if dtype is None:
        try:
            dtype = np.dtype(from_datatype(header.datatype))
        except InvalidArgumentError as err:
            raise InvalidArgumentError(f"tensor {quote(header.name)}: {err}") from err
    if len(header.shape) > MAX_AXES:
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: expected at most {MAX_AXES} axes, got {len(header.shape)}"
        )
    shape = tuple(header.shape)
    if shape and min(shape) < 0:
        raise InvalidArgumentError(f"tensor {quote(header.name)}: negative size in shape {list(shape)}")
    # An empty axis does not excuse the others: numpy refuses such a shape too.
    if math.prod(size or 1 for size in shape) * dtype.itemsize > sys.maxsize:
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: shape {list(shape)} of {header.datatype} exceeds {sys.maxsize} bytes"
        )
    return dtype, shape


def _from_raw(
    data: bytes, span: Span, header: TensorHeader, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> Array:
    start, stop = span
    expected = math.prod(shape) * dtype.itemsize
    if stop - start != expected:
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: expected {expected} bytes for {header.datatype} {list(shape)},"
            f" got {stop - start}"
        )
    if header.HasField("contents") and header.contents.ListFields():
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: values both raw and in `contents`; send one of them"
        )
    array = in_place(data, start, dtype, shape)
    if header.datatype == "BOOL" and array.size and array.view(np.uint8).max() > 1:
        raise InvalidArgumentError(f"tensor {quote(header.name)}: expected bytes 0 and 1 for BOOL, got others")
    return array if dtype.isnative else _read_only(array.astype(dtype.newbyteorder("=")))


def in_place(data: bytes, start: int, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Return the raw tensor that begins at `start`, read-only: a view of `data`, or of a copy where it must be.

    That is where it is not aligned. The copy is a slice, not an array: some processors copy ten times slower to
    where an address ends in a little more than its source does, as that of an array behind its message does where
    the tensor fills whole pages.
    """
    array: Array = np.ndarray(shape, dtype, data, start)
    return array if array.flags.aligned else np.ndarray(shape, dtype, data[start : start + array.nbytes])


def _from_list(header: TensorHeader, dtype: np.dtype[Any], shape: tuple[int, ...], raw_field: str) -> Array:
    list_name, list_dtype = _LISTS.get(header.datatype, ("", ""))
    found = {field.name: value for field, value in header.contents.ListFields()}
    if found.keys() - {list_name}:
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: expected {header.datatype} in {list_name or raw_field},"
            f" got {', '.join(found)}"
        )
    count = math.prod(shape)
    values = found.get(list_name, ())
    if len(values) != count:
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: expected {count} values in {raw_field}"
            f"{' or ' * bool(list_name)}{list_name}, got {len(values)}"
        )
    if not count:
        return _read_only(np.empty(shape, dtype=dtype.newbyteorder("=")))
    wide: Array = np.fromiter(values, dtype=list_dtype, count=count)
    narrow = wide.astype(dtype.newbyteorder("="), copy=False)
    # Only a narrower integer changes a value; a NaN differs from itself but is not narrowed.
    if narrow.dtype != wide.dtype and not np.array_equal(narrow, wide):
        raise InvalidArgumentError(
            f"tensor {quote(header.name)}: expected values of {header.datatype}, got {wide.min()} to {wide.max()}"
        )
    return _read_only(narrow.reshape(shape))


def _read_only(array: Array) -> Array:
    array.setflags(write=False)
    return array
