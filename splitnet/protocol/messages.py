"""What crosses the protocol, as plain Python: no protobuf type appears here or above."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from splitnet.tensors import Tensors

#: A value beside the tensors; an int lies in [-2**63, 2**64), a float is finite.
Parameter: TypeAlias = bool | int | float | str


@dataclass(frozen=True, slots=True, eq=False)
class InferRequest:
    """A request to run a model.

    Attributes:
        model_name: the model to run.
        tensors: the inputs by name; decoded ones are read-only and keep the whole message in memory.
        model_version: empty for whichever version the server prefers.
        id: comes back in the response; the only thing that every server returns.
        parameters: values beside the tensors.
        requested_outputs: empty for all of the model's outputs.
        tensor_parameters: values beside single tensors, by the tensor's name; tensors without any are left out.
    """

    model_name: str
    tensors: Tensors
    model_version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    requested_outputs: tuple[str, ...] = ()
    tensor_parameters: Mapping[str, Mapping[str, Parameter]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class InferResponse:
    """What a model answered.

    Attributes:
        model_name: the model that ran.
        tensors: the outputs by name; decoded ones are read-only and keep the whole message in memory.
        model_version: the version that ran.
        id: the request's.
        parameters: values beside the tensors.
    """

    model_name: str
    tensors: Tensors
    model_version: str = ""
    id: str = ""
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class StreamResponse:
    """One response on a stream; where `error_message` is not empty, only the response's id has a meaning."""

    response: InferResponse
    error_message: str = ""


@dataclass(frozen=True, slots=True)
class Empty:
    """A request that says nothing; not None, because grpc takes a None for a message that could not be read."""


@dataclass(frozen=True, slots=True)
class ModelName:
    """Which model, and which version of it; an empty version is whichever the server prefers."""

    name: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class TensorMetadata:
    """A model's input or output.

    Attributes:
        name: the tensor's name.
        datatype: the protocol's name of the element type; a foreign server may name one we do not carry.
        shape: one entry an axis, -1 for an axis of any size.
    """

    name: str
    datatype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ModelMetadata:
    """What a server says of a model; `platform` is the framework, `onnxruntime_onnx` for ours."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """How a server runs a model, in Triton's terms.

    Attributes:
        name: the model's.
        platform: as in its metadata.
        max_batch_size: most samples of a request; 0, and the shapes whole, where some tensor's first axis does not
            count samples.
        inputs: as in its metadata, but without the axis of the samples where `max_batch_size` is not 0.
        outputs: likewise.
        versions: the most that are offered at a time, the highest ones.
        max_queue_delay_us: the longest that a request waits for others to be computed with it, microseconds; None
            where each is computed alone.
    """

    name: str
    platform: str
    max_batch_size: int
    inputs: tuple[TensorMetadata, ...]
    outputs: tuple[TensorMetadata, ...]
    versions: int = 1
    max_queue_delay_us: int | None = None

    @classmethod
    def of(
        cls, metadata: ModelMetadata, *, max_batch: int, versions: int, max_queue_delay_us: int | None = None
    ) -> "ModelConfig":
        """Return the configuration of the model that `metadata` describes; -1 on a first axis counts samples."""
        batched = all(tensor.shape[:1] == (-1,) for tensor in (*metadata.inputs, *metadata.outputs))

        def of_a_sample(tensors: tuple[TensorMetadata, ...]) -> tuple[TensorMetadata, ...]:
            return tuple(replace(tensor, shape=tensor.shape[1:]) for tensor in tensors) if batched else tensors

        return cls(
            metadata.name,
            metadata.platform,
            max_batch if batched else 0,
            of_a_sample(metadata.inputs),
            of_a_sample(metadata.outputs),
            versions,
            max_queue_delay_us,
        )


@dataclass(frozen=True, slots=True)
class Duration:
    """How often something happened, and how long that took together, nanoseconds."""

    count: int = 0
    ns: int = 0


@dataclass(frozen=True, slots=True)
class ModelStatistics:
    """What one version of a model has done since the server started.

    Attributes:
        name: the model's.
        version: of it.
        last_inference_ms: when it was last asked, milliseconds since 1970; 0 for never.
        inference_count: samples that were answered.
        execution_count: runs.
        success: requests that were answered, from their arrival to their end.
        fail: requests that were not.
        queue: requests that waited before a run.
        compute_infer: requests that were run, each for as long as its batch.
        batches: runs, by the number of samples in them.
    """

    name: str
    version: str
    last_inference_ms: int = 0
    inference_count: int = 0
    execution_count: int = 0
    success: Duration = Duration()
    fail: Duration = Duration()
    queue: Duration = Duration()
    compute_infer: Duration = Duration()
    batches: Mapping[int, Duration] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServerMetadata:
    """What a server says of itself; `extensions` names what it speaks beyond the protocol."""

    name: str
    version: str
    extensions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """Which models are there; `ready` leaves out those that do not answer now, `repository` empty asks for all."""

    repository: str = ""
    ready: bool = False


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """One version of a model in a repository.

    Attributes:
        name: the model.
        version: of it.
        state: READY, UNAVAILABLE or LOADING for ours; foreign servers know more.
        reason: why it is in that state; empty where there is nothing to say.
    """

    name: str
    version: str
    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ModelChange:
    """A request to load a model, or to unload it.

    Attributes:
        model: its name.
        repository: empty for whichever holds it.
        parameters: bool, int, str or bytes by name; an int lies in [-2**63, 2**63).
    """

    model: str
    repository: str = ""
    parameters: Mapping[str, bool | int | str | bytes] = field(default_factory=dict)
