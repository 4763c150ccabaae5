"""The protocol's messages on how a model is served <-> bytes."""

from splitnet.errors import InvalidArgumentError
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.protocol.messages import ModelConfig, TensorMetadata
from splitnet.protocol.parsing import from_peer, parse, writes_text

# The only backend that a tier has, by Triton's name of it.
_BACKEND = "onnxruntime"
_PREFIX = "TYPE_"


@writes_text
def encode_model_config(config: ModelConfig) -> bytes:
    """Return ModelConfigResponse.

    Raises:
        InvalidArgumentError: text that is not Unicode, or a datatype that configurations have no name for.
    """
    message = pb.ModelConfig(
        name=config.name,
        platform=config.platform,
        backend=_BACKEND,
        max_batch_size=config.max_batch_size,
        version_policy=pb.ModelVersionPolicy(latest=pb.ModelVersionPolicy.Latest(num_versions=config.versions)),
        input=[pb.ModelInput(name=t.name, data_type=_type_of(t), dims=t.shape) for t in config.inputs],
        output=[pb.ModelOutput(name=t.name, data_type=_type_of(t), dims=t.shape) for t in config.outputs],
    )
    if config.max_queue_delay_us is not None:
        message.dynamic_batching.max_queue_delay_microseconds = config.max_queue_delay_us
    return pb.ModelConfigResponse(config=message).SerializeToString()


@from_peer
def decode_model_config(data: bytes) -> ModelConfig:
    """Read ModelConfigResponse.

    Raises:
        PeerProtocolError: `data` is no such message.
    """
    message = parse(pb.ModelConfigResponse, data).config
    batching = message.dynamic_batching if message.HasField("dynamic_batching") else None
    return ModelConfig(
        name=message.name,
        platform=message.platform,
        max_batch_size=message.max_batch_size,
        inputs=tuple(_tensor(each) for each in message.input),
        outputs=tuple(_tensor(each) for each in message.output),
        versions=message.version_policy.latest.num_versions or 1,
        max_queue_delay_us=batching.max_queue_delay_microseconds if batching is not None else None,
    )


def _type_of(tensor: TensorMetadata) -> str:
    name = f"{_PREFIX}{tensor.datatype}"
    if name not in pb.DataType.keys():  # noqa: SIM118  (an enumeration is no mapping)
        raise InvalidArgumentError(f"tensor {tensor.name!r}: no name for {tensor.datatype} in a configuration")
    return name


def _tensor(message: pb.ModelInput | pb.ModelOutput) -> TensorMetadata:
    number = message.data_type
    # An open enumeration: a foreign server may name a type that we do not carry.
    datatype = pb.DataType.Name(number).removeprefix(_PREFIX) if number in pb.DataType.values() else str(number)
    return TensorMetadata(message.name, datatype, tuple(message.dims))
