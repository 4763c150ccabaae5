"""Ways to send a tensor: a codec inside the graph and a coding outside it, with what each of them costs."""

from dataclasses import dataclass
from typing import Self

from splitnet.codec import is_lossless
from splitnet.codec_names import CODECS, CODINGS, CodecName, CodingName
from splitnet.coding import is_lossless as is_lossless_coding

_CODECS: dict[str, CodecName] = {name: name for name in CODECS}
_CODINGS: dict[str, CodingName] = {name: name for name in CODINGS}


@dataclass(frozen=True, slots=True)
class Way:
    """How a boundary tensor is sent.

    Attributes:
        codec: nodes in the segments on both sides.
        coding: what is done to the wire tensors outside.
    """

    codec: CodecName = "none"
    coding: CodingName = "none"

    @property
    def name(self) -> str:
        """What the planner's table calls it."""
        return self.codec if self.coding == "none" else f"{self.codec}+{self.coding}"

    @classmethod
    def named(cls, name: str) -> Self:
        """Return the way that a table calls `name`."""
        codec, _, coding = name.partition("+")
        return cls(_CODECS[codec], _CODINGS[coding or "none"])

    @property
    def loss(self) -> str | None:
        """The codec or the coding that changes values; None where what arrives is what was sent."""
        if not is_lossless(self.codec):
            return self.codec
        return None if is_lossless_coding(self.coding) else self.coding


@dataclass(frozen=True, slots=True)
class PricedWay:
    """A way with its cost for one tensor.

    Attributes:
        way: codec and coding.
        nbytes: bytes of one sample.
        encode_ms: time to encode one sample on the machine that profiles.
        decode_ms: time to decode it there.
    """

    way: Way
    nbytes: float
    encode_ms: float
    decode_ms: float
