"""What the protocol's tests draw: arrays of every element type, parameters, whole messages."""

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st

from splitnet.protocol import InferRequest, InferResponse, Parameter, StreamResponse
from splitnet.tensors import DTYPES, Array

SHAPES = st.lists(st.integers(0, 5), max_size=5).map(tuple)
#: Text that UTF-8 can carry.
TEXTS = st.text(st.characters(codec="utf-8"), max_size=20)
PARAMETERS: st.SearchStrategy[dict[str, Parameter]] = st.dictionaries(
    TEXTS,
    st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    max_size=4,
)


@st.composite
def contiguous_arrays(draw: st.DrawFn) -> Array:
    """An array of any carried type with any bits in it: NaNs with payloads, infinities, subnormals."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(SHAPES)
    count = int(np.prod(shape, dtype=np.int64))
    if dtype == np.bool_:
        values: Array = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)), dtype=np.bool_)
    else:
        raw = draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize))
        values = np.frombuffer(raw, dtype=dtype)
    return values.reshape(shape)


@st.composite
def arrays(draw: st.DrawFn) -> Array:
    """As `contiguous_arrays`, in any memory layout and byte order."""
    layouts = _layouts(draw(contiguous_arrays()))
    return layouts[draw(st.integers(0, len(layouts) - 1))]


def _layouts(array: Array) -> list[Array]:
    """The same values in other memory: transposed, strided, reversed, big-endian."""
    swapped = array.astype(array.dtype.newbyteorder(">"))
    if not array.ndim:
        return [array, swapped]
    padded = np.zeros(tuple(2 * size for size in array.shape), dtype=array.dtype)
    strided = padded[(slice(None, None, 2),) * array.ndim]
    strided[...] = array
    flip = (slice(None, None, -1),) * array.ndim
    return [array, swapped, strided, np.asfortranarray(array), array[flip].copy()[flip]]


TENSORS = st.dictionaries(TEXTS, arrays(), max_size=3)


@st.composite
def requests(draw: st.DrawFn) -> InferRequest:
    tensors = draw(TENSORS)
    beside = {name: draw(PARAMETERS) for name in tensors if draw(st.booleans())}
    return InferRequest(
        model_name=draw(TEXTS),
        tensors=tensors,
        model_version=draw(TEXTS),
        id=draw(TEXTS),
        parameters=draw(PARAMETERS),
        requested_outputs=tuple(draw(st.lists(TEXTS, unique=True, max_size=3))),
        tensor_parameters={name: parameters for name, parameters in beside.items() if parameters},
    )


REQUESTS = requests()
RESPONSES = st.builds(
    InferResponse, model_name=TEXTS, tensors=TENSORS, model_version=TEXTS, id=TEXTS, parameters=PARAMETERS
)
STREAM_RESPONSES = st.builds(StreamResponse, response=RESPONSES, error_message=TEXTS)


def bits(array: Array) -> tuple[str, tuple[int, ...], bytes]:
    """Type, shape and every bit of the values, so that NaNs can be compared."""
    native = array.astype(array.dtype.newbyteorder("="))
    return native.dtype.name, native.shape, native.tobytes()


def contents_of(message: InferRequest | InferResponse) -> dict[str, Any]:
    """All of a message, comparable; zeros of both signs and ints beside floats are told apart."""
    fields: dict[str, Any] = {
        "model_name": message.model_name,
        "model_version": message.model_version,
        "id": message.id,
        "tensors": [(name, bits(array)) for name, array in message.tensors.items()],
        "parameters": _comparable(message.parameters),
    }
    if isinstance(message, InferRequest):
        fields["requested_outputs"] = message.requested_outputs
        fields["tensor_parameters"] = {
            name: _comparable(parameters) for name, parameters in message.tensor_parameters.items()
        }
    return fields


def _comparable(parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    return {
        name: struct.pack("<d", value) if isinstance(value, float) else (type(value), value)
        for name, value in parameters.items()
    }
