"""The Open Inference Protocol v2: messages as plain Python, their bytes, and the service's methods."""

from splitnet.protocol.datatypes import from_datatype, to_datatype
from splitnet.protocol.framing import (
    decode_request,
    decode_response,
    decode_stream_response,
    encode_request,
    encode_response,
    encode_stream_response,
)
from splitnet.protocol.messages import (
    Empty,
    InferRequest,
    InferResponse,
    ModelMetadata,
    ModelName,
    Parameter,
    ServerMetadata,
    StreamResponse,
    TensorMetadata,
)
from splitnet.protocol.reflection import descriptor_pool
from splitnet.protocol.services import (
    METHODS,
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STREAM_INFER,
    SERVER_LIVE,
    SERVER_METADATA,
    SERVER_READY,
    SERVICE_NAME,
    Method,
)

__all__ = [
    "METHODS",
    "MODEL_INFER",
    "MODEL_METADATA",
    "MODEL_READY",
    "MODEL_STREAM_INFER",
    "SERVER_LIVE",
    "SERVER_METADATA",
    "SERVER_READY",
    "SERVICE_NAME",
    "Empty",
    "InferRequest",
    "InferResponse",
    "Method",
    "ModelMetadata",
    "ModelName",
    "Parameter",
    "ServerMetadata",
    "StreamResponse",
    "TensorMetadata",
    "decode_request",
    "decode_response",
    "decode_stream_response",
    "descriptor_pool",
    "encode_request",
    "encode_response",
    "encode_stream_response",
    "from_datatype",
    "to_datatype",
]
