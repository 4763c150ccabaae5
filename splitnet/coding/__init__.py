"""Coding of wire tensors outside the graph: entropy coding of their bytes, and of images as images."""

from splitnet.codec_names import CODINGS, CodingName
from splitnet.coding.codings import decode, encode, is_applicable, is_available, is_lossless
from splitnet.coding.measure import Measured, measure

__all__ = [
    "CODINGS",
    "CodingName",
    "Measured",
    "decode",
    "encode",
    "is_applicable",
    "is_available",
    "is_lossless",
    "measure",
]
