"""The names of codecs and codings: their one home, for those who must name them without loading what they do."""

from typing import Literal, get_args

#: How a boundary tensor is changed inside the graph before it is sent (docs/codecs.md).
CodecName = Literal["none", "f16", "u8", "u8c", "u4", "topk", "bits", "byte", "bottleneck"]
CODECS: tuple[CodecName, ...] = get_args(CodecName)

#: How the bytes of a wire tensor are coded outside the graph (docs/protocol.md).
CodingName = Literal["none", "zstd", "zstd-shuffle", "png", "jpeg"]
CODINGS: tuple[CodingName, ...] = get_args(CodingName)
