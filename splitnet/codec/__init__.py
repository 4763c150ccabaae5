"""Codecs: how a boundary tensor is made smaller before it crosses a link."""

from splitnet.codec.boundary import (
    CODECS,
    CodecName,
    TensorCodec,
    ValueRange,
    append_encoder,
    codec_for,
    is_applicable,
    prepend_decoder,
    quantisation,
)

__all__ = [
    "CODECS",
    "CodecName",
    "TensorCodec",
    "ValueRange",
    "append_encoder",
    "codec_for",
    "is_applicable",
    "prepend_decoder",
    "quantisation",
]
