"""The service's methods, with what a gRPC server or client needs to register and to call them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from splitnet.protocol import framing, metadata, model_config, repository, statistics
from splitnet.protocol.messages import (
    Empty,
    IndexEntry,
    IndexRequest,
    InferRequest,
    InferResponse,
    ModelChange,
    ModelConfig,
    ModelMetadata,
    ModelName,
    ModelStatistics,
    ServerMetadata,
    StreamResponse,
)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")

#: The public name, under which every client calls; our own .proto is in another package.
SERVICE_NAME = "inference.GRPCInferenceService"


@dataclass(frozen=True, slots=True)
class Method(Generic[_Request, _Response]):
    """A method of the service.

    Attributes:
        name: its name within the service.
        encode_request: raises InvalidArgumentError.
        decode_request: raises InvalidArgumentError.
        encode_response: raises InvalidArgumentError.
        decode_response: raises PeerProtocolError.
        streaming: whether both sides send a stream of messages; otherwise each sends one.
    """

    name: str
    encode_request: Callable[[_Request], bytes]
    decode_request: Callable[[bytes], _Request]
    encode_response: Callable[[_Response], bytes]
    decode_response: Callable[[bytes], _Response]
    streaming: bool = False

    @property
    def path(self) -> str:
        """The path of a call, as gRPC channels take it."""
        return f"/{SERVICE_NAME}/{self.name}"


SERVER_LIVE: Method[Empty, bool] = Method(
    "ServerLive", metadata.encode_empty, metadata.decode_empty, metadata.encode_live, metadata.decode_live
)
SERVER_READY: Method[Empty, bool] = Method(
    "ServerReady", metadata.encode_empty, metadata.decode_empty, metadata.encode_ready, metadata.decode_ready
)
MODEL_READY: Method[ModelName, bool] = Method(
    "ModelReady",
    metadata.encode_model_name,
    metadata.decode_model_name,
    metadata.encode_ready,
    metadata.decode_ready,
)
SERVER_METADATA: Method[Empty, ServerMetadata] = Method(
    "ServerMetadata",
    metadata.encode_empty,
    metadata.decode_empty,
    metadata.encode_server_metadata,
    metadata.decode_server_metadata,
)
MODEL_METADATA: Method[ModelName, ModelMetadata] = Method(
    "ModelMetadata",
    metadata.encode_model_name,
    metadata.decode_model_name,
    metadata.encode_model_metadata,
    metadata.decode_model_metadata,
)
MODEL_INFER: Method[InferRequest, InferResponse] = Method(
    "ModelInfer",
    framing.encode_request,
    framing.decode_request,
    framing.encode_response,
    framing.decode_response,
)
MODEL_STREAM_INFER: Method[InferRequest, StreamResponse] = Method(
    "ModelStreamInfer",
    framing.encode_request,
    framing.decode_request,
    framing.encode_stream_response,
    framing.decode_stream_response,
    streaming=True,
)
MODEL_CONFIG: Method[ModelName, ModelConfig] = Method(
    "ModelConfig",
    metadata.encode_model_name,
    metadata.decode_model_name,
    model_config.encode_model_config,
    model_config.decode_model_config,
)
MODEL_STATISTICS: Method[ModelName, tuple[ModelStatistics, ...]] = Method(
    "ModelStatistics",
    metadata.encode_model_name,
    metadata.decode_model_name,
    statistics.encode_statistics,
    statistics.decode_statistics,
)
REPOSITORY_INDEX: Method[IndexRequest, tuple[IndexEntry, ...]] = Method(
    "RepositoryIndex",
    repository.encode_index_request,
    repository.decode_index_request,
    repository.encode_index,
    repository.decode_index,
)
REPOSITORY_MODEL_LOAD: Method[ModelChange, Empty] = Method(
    "RepositoryModelLoad",
    repository.encode_model_change,
    repository.decode_model_change,
    repository.encode_done,
    repository.decode_done,
)
REPOSITORY_MODEL_UNLOAD: Method[ModelChange, Empty] = Method(
    "RepositoryModelUnload",
    repository.encode_model_change,
    repository.decode_model_change,
    repository.encode_done,
    repository.decode_done,
)

METHODS: tuple[Method[Any, Any], ...] = (
    SERVER_LIVE,
    SERVER_READY,
    MODEL_READY,
    SERVER_METADATA,
    MODEL_METADATA,
    MODEL_INFER,
    MODEL_STREAM_INFER,
    MODEL_CONFIG,
    MODEL_STATISTICS,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
)
