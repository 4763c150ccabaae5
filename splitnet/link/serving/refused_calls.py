"""Calls of Triton's clients that a tier has nothing to do for, and what they are told."""

from collections.abc import Callable, Mapping

import grpc

from splitnet.errors import NotFoundError, UnimplementedError
from splitnet.protocol.metadata import decode_model_name
from splitnet.protocol.quoting import quote

_NO_REGIONS = "shared memory is not supported; send the values in the message"
_REFUSED = {
    "SystemSharedMemoryRegister": _NO_REGIONS,
    "CudaSharedMemoryRegister": _NO_REGIONS,
    "TraceSetting": "traces are not set over this protocol; `splitnet_*_ms` in an answer say where its time went",
    "LogSettings": "logs are not set over this protocol; the tier's own configuration says how it logs",
}
# What they say is true of a server without regions: there are none, and none is registered any more.
_EMPTY = ("SystemSharedMemoryUnregister", "CudaSharedMemoryUnregister")
_STATUS = ("SystemSharedMemoryStatus", "CudaSharedMemoryStatus")

Call = Callable[[bytes, grpc.ServicerContext], bytes]


def answers() -> Mapping[str, Call]:
    """Return what serves each of these methods, by its name; it raises SplitNetError."""
    return {
        **{name: _refuse(text) for name, text in _REFUSED.items()},
        **dict.fromkeys(_EMPTY, _nothing),
        **dict.fromkeys(_STATUS, _status),
    }


def _refuse(text: str) -> Call:
    def refuse(_message: bytes, _context: grpc.ServicerContext) -> bytes:
        raise UnimplementedError(text)

    return refuse


def _nothing(_message: bytes, _context: grpc.ServicerContext) -> bytes:
    return b""


def _status(message: bytes, _context: grpc.ServicerContext) -> bytes:
    # Their one field, the region's name, is where that of a model is.
    if name := decode_model_name(message).name:
        raise NotFoundError(f"region {quote(name)} is not registered: {_NO_REGIONS}")
    return b""
