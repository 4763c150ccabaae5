"""The protocol's messages on a server's repository of models <-> bytes."""

from collections.abc import Mapping, MutableMapping
from typing import TypeAlias

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.messages import Empty, IndexEntry, IndexRequest, ModelChange
from splitnet.protocol.parsing import from_peer, parse, writes_text
from splitnet.protocol.quoting import quote

_Value: TypeAlias = bool | int | str | bytes


@writes_text
def encode_index_request(request: IndexRequest) -> bytes:
    """Return RepositoryIndexRequest.

    Raises:
        InvalidArgumentError: text that is not Unicode.
    """
    return pb.RepositoryIndexRequest(repository_name=request.repository, ready=request.ready).SerializeToString()


def decode_index_request(data: bytes) -> IndexRequest:
    """Read RepositoryIndexRequest.

    Raises:
        InvalidArgumentError: `data` is no such message.
    """
    message = parse(pb.RepositoryIndexRequest, data)
    return IndexRequest(message.repository_name, message.ready)


@writes_text
def encode_index(entries: tuple[IndexEntry, ...]) -> bytes:
    """Return RepositoryIndexResponse.

    Raises:
        InvalidArgumentError: text that is not Unicode.
    """
    models = [
        pb.RepositoryIndexResponse.ModelIndex(
            name=entry.name, version=entry.version, state=entry.state, reason=entry.reason
        )
        for entry in entries
    ]
    return pb.RepositoryIndexResponse(models=models).SerializeToString()


@from_peer
def decode_index(data: bytes) -> tuple[IndexEntry, ...]:
    """Read RepositoryIndexResponse.

    Raises:
        PeerProtocolError: `data` is no such message.
    """
    models = parse(pb.RepositoryIndexResponse, data).models
    return tuple(IndexEntry(model.name, model.version, model.state, model.reason) for model in models)


@writes_text
def encode_model_change(change: ModelChange) -> bytes:
    """Return RepositoryModelLoadRequest or RepositoryModelUnloadRequest, which are alike.

    Raises:
        InvalidArgumentError: text that is not Unicode, an int beyond 64 bits, or a value of another type.
    """
    message = pb.RepositoryModelLoadRequest(repository_name=change.repository, model_name=change.model)
    _to_proto(change.parameters, message.parameters)
    return message.SerializeToString()


def decode_model_change(data: bytes) -> ModelChange:
    """Read RepositoryModelLoadRequest or RepositoryModelUnloadRequest.

    Raises:
        InvalidArgumentError: `data` is no such message, or a parameter has no value.
    """
    message = parse(pb.RepositoryModelLoadRequest, data)
    parameters = {name: _value(name, choice) for name, choice in message.parameters.items()}
    return ModelChange(message.model_name, message.repository_name, parameters)


def encode_done(_: Empty) -> bytes:
    """Return RepositoryModelLoadResponse or RepositoryModelUnloadResponse, which are empty."""
    return b""


@from_peer
def decode_done(data: bytes) -> Empty:
    """Read RepositoryModelLoadResponse or RepositoryModelUnloadResponse.

    Raises:
        PeerProtocolError: `data` is no protobuf message.
    """
    parse(pb.RepositoryModelLoadResponse, data)
    return Empty()


def _to_proto(parameters: Mapping[str, _Value], target: MutableMapping[str, pb.ModelRepositoryParameter]) -> None:
    for name, value in parameters.items():
        choice = target[name]
        if isinstance(value, bool):
            choice.bool_param = value
        elif isinstance(value, int):
            if not -(1 << 63) <= value < 1 << 63:
                raise InvalidArgumentError(
                    f"parameter {quote(name)}: expected -2**63 to 2**63 - 1, got {value:#x}"
                )
            choice.int64_param = value
        elif isinstance(value, str):
            choice.string_param = value
        elif isinstance(value, bytes):
            choice.bytes_param = value
        else:
            raise InvalidArgumentError(
                f"parameter {quote(name)}: expected bool, int, str or bytes, got {type(value).__name__}"
            )


def _value(name: str, choice: pb.ModelRepositoryParameter) -> _Value:
    field = choice.WhichOneof("parameter_choice")
    if field is None:
        raise InvalidArgumentError(
            f"parameter {quote(name)} has no value; expected bool_param, int64_param, string_param or bytes_param"
        )
    value: _Value = getattr(choice, field)
    return value
