"""Codecs: how a boundary tensor is made smaller before it crosses a link, as ONNX nodes on both of its sides."""

from splitnet.codec.bottleneck import Bottleneck, Layer
from splitnet.codec.segment import append_encoder, codec_model, prepend_decoder
from splitnet.codec.statistics import ValueStatistics, channel_axis, statistics_of
from splitnet.codec.tensor_codec import TensorCodec, codec_for, is_applicable, is_lossless
from splitnet.codec_names import CODECS, CodecName

__all__ = [
    "CODECS",
    "Bottleneck",
    "CodecName",
    "Layer",
    "TensorCodec",
    "ValueStatistics",
    "append_encoder",
    "channel_axis",
    "codec_for",
    "codec_model",
    "is_applicable",
    "is_lossless",
    "prepend_decoder",
    "statistics_of",
]
