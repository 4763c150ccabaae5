"""The codec of one boundary tensor: whether it applies, and what it puts on the link."""

from dataclasses import dataclass

from splitnet.codec.bottleneck import Bottleneck
from splitnet.codec.family import Subject
from splitnet.codec.registry import FAMILIES
from splitnet.codec.statistics import ValueStatistics
from splitnet.codec_names import CodecName
from splitnet.errors import InvalidArgumentError
from splitnet.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class TensorCodec:
    """How one boundary tensor is sent.

    Attributes:
        name: the codec.
        tensor: the boundary tensor.
        statistics: of its values on calibration data.
        bottleneck: learned for it, for codec `bottleneck`.
    """

    name: CodecName
    tensor: TensorSpec
    statistics: ValueStatistics | None = None
    bottleneck: Bottleneck | None = None

    def __post_init__(self) -> None:
        family = FAMILIES[self.name]
        reason = family.refusal(self.subject)
        if not family.codes(self.tensor):
            reason = f"does not code {self.tensor.dtype} {list(self.tensor.shape)}; codec none sends it as it is"
        if reason is not None:
            raise InvalidArgumentError(f"tensor {self.tensor.name!r}: codec {self.name} {reason}")

    @property
    def subject(self) -> Subject:
        """The tensor with what is known of it, as the codec's family takes it."""
        return Subject(self.tensor, self.statistics, self.bottleneck)

    @property
    def wires(self) -> tuple[TensorSpec, ...]:
        """The tensors that cross the link; for `none` the tensor itself."""
        return FAMILIES[self.name].wires(self.subject, f"{self.tensor.name}.{self.name}")

    @property
    def nbytes(self) -> int:
        """Bytes of one sample on the link; of the whole tensor where it has no batch axis."""
        return sum(wire.sample_nbytes for wire in self.wires)


def codec_for(
    name: CodecName,
    tensor: TensorSpec,
    statistics: ValueStatistics | None,
    bottleneck: Bottleneck | None = None,
) -> TensorCodec:
    """Return codec `name` for `tensor`, or `none` where it is of a type or shape that the codec is not meant for.

    Raises:
        InvalidArgumentError: the codec is meant for it and not `is_applicable`.
    """
    if not FAMILIES[name].codes(tensor):
        return TensorCodec("none", tensor, statistics)
    return TensorCodec(name, tensor, statistics, bottleneck if name == "bottleneck" else None)


def is_applicable(
    name: CodecName,
    tensor: TensorSpec,
    statistics: ValueStatistics | None,
    bottleneck: Bottleneck | None = None,
) -> bool:
    """Whether `codec_for` finds a way: `name` is not meant for `tensor`, or what is known of it allows `name`."""
    family = FAMILIES[name]
    return not family.codes(tensor) or family.refusal(Subject(tensor, statistics, bottleneck)) is None


def is_lossless(name: CodecName) -> bool:
    """Whether codec `name` changes no value of the kind that it is offered for."""
    return FAMILIES[name].lossless
