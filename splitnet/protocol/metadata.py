"""The protocol's small messages, on readiness and metadata <-> bytes."""

from collections.abc import Iterable

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.messages import Empty, ModelMetadata, ModelName, ServerMetadata, TensorMetadata
from splitnet.protocol.parsing import from_peer, parse, writes_text
from splitnet.protocol.quoting import quote


def encode_empty(_: Empty) -> bytes:
    """Return ServerLiveRequest, ServerReadyRequest or ServerMetadataRequest, which are all empty."""
    return b""


def decode_empty(data: bytes) -> Empty:
    """Read ServerLiveRequest, ServerReadyRequest or ServerMetadataRequest.

    Raises:
        InvalidArgumentError: `data` is no protobuf message.
    """
    parse(pb.ServerLiveRequest, data)
    return Empty()


@writes_text
def encode_model_name(model: ModelName) -> bytes:
    """Return the request of ModelReady, ModelMetadata, ModelConfig or ModelStatistics, which are alike.

    Raises:
        InvalidArgumentError: text that is not Unicode.
    """
    return pb.ModelReadyRequest(name=model.name, version=model.version).SerializeToString()


def decode_model_name(data: bytes) -> ModelName:
    """Read the request of ModelReady, ModelMetadata, ModelConfig or ModelStatistics.

    Raises:
        InvalidArgumentError: `data` is no such message.
    """
    message = parse(pb.ModelReadyRequest, data)
    return ModelName(message.name, message.version)


def encode_live(live: bool) -> bytes:  # noqa: FBT001  # the message is this bool
    """Return ServerLiveResponse."""
    return pb.ServerLiveResponse(live=live).SerializeToString()


@from_peer
def decode_live(data: bytes) -> bool:
    """Read ServerLiveResponse.

    Raises:
        PeerProtocolError: `data` is no such message.
    """
    return parse(pb.ServerLiveResponse, data).live


def encode_ready(ready: bool) -> bytes:  # noqa: FBT001  # the message is this bool
    """Return ServerReadyResponse or ModelReadyResponse, which are alike."""
    return pb.ServerReadyResponse(ready=ready).SerializeToString()


@from_peer
def decode_ready(data: bytes) -> bool:
    """Read ServerReadyResponse or ModelReadyResponse.

    Raises:
        PeerProtocolError: `data` is no such message.
    """
    return parse(pb.ServerReadyResponse, data).ready


@writes_text
def encode_server_metadata(metadata: ServerMetadata) -> bytes:
    """Return ServerMetadataResponse.

    Raises:
        InvalidArgumentError: text that is not Unicode.
    """
    return pb.ServerMetadataResponse(
        name=metadata.name, version=metadata.version, extensions=metadata.extensions
    ).SerializeToString()


@from_peer
def decode_server_metadata(data: bytes) -> ServerMetadata:
    """Read ServerMetadataResponse.

    Raises:
        PeerProtocolError: `data` is no such message.
    """
    message = parse(pb.ServerMetadataResponse, data)
    return ServerMetadata(message.name, message.version, tuple(message.extensions))


@writes_text
def encode_model_metadata(metadata: ModelMetadata) -> bytes:
    """Return ModelMetadataResponse.

    Raises:
        InvalidArgumentError: text that is not Unicode.
    """
    return pb.ModelMetadataResponse(
        name=metadata.name,
        versions=metadata.versions,
        platform=metadata.platform,
        inputs=[_tensor_to_proto(tensor) for tensor in metadata.inputs],
        outputs=[_tensor_to_proto(tensor) for tensor in metadata.outputs],
    ).SerializeToString()


@from_peer
def decode_model_metadata(data: bytes) -> ModelMetadata:
    """Read ModelMetadataResponse.

    Raises:
        PeerProtocolError: `data` is no such message, names a tensor twice, or a shape has a size below -1.
    """
    message = parse(pb.ModelMetadataResponse, data)
    return ModelMetadata(
        name=message.name,
        versions=tuple(message.versions),
        platform=message.platform,
        inputs=_tensors_from_proto("input", message.inputs),
        outputs=_tensors_from_proto("output", message.outputs),
    )


def _tensor_to_proto(tensor: TensorMetadata) -> pb.ModelMetadataResponse.TensorMetadata:
    return pb.ModelMetadataResponse.TensorMetadata(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)


def _tensors_from_proto(
    role: str, messages: Iterable[pb.ModelMetadataResponse.TensorMetadata]
) -> tuple[TensorMetadata, ...]:
    tensors: dict[str, TensorMetadata] = {}
    for message in messages:
        if message.name in tensors:
            raise InvalidArgumentError(f"{role} {quote(message.name)} is there twice")
        if min(message.shape, default=0) < -1:
            raise InvalidArgumentError(f"{role} {quote(message.name)}: expected sizes from -1 up in its shape")
        tensors[message.name] = TensorMetadata(message.name, message.datatype, tuple(message.shape))
    return tuple(tensors.values())
