"""Every codec's family by the codec's name."""

from splitnet.codec.affine import Affine
from splitnet.codec.cast import AsIs, Byte, Float16
from splitnet.codec.family import Family
from splitnet.codec.learned import Learned
from splitnet.codec.packing import Bits, Nibbles
from splitnet.codec.sparse import TopK
from splitnet.codec_names import CodecName

FAMILIES: dict[CodecName, Family] = {
    "none": AsIs(),
    "f16": Float16(),
    "u8": Affine(by_channel=False),
    "u8c": Affine(by_channel=True),
    "u4": Nibbles(),
    "topk": TopK(),
    "bits": Bits(),
    "byte": Byte(),
    "bottleneck": Learned(),
}
