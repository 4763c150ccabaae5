"""A tensor carried by a codec: encoder and decoder as models of their own, run by onnxruntime."""

from functools import lru_cache
from typing import Literal

import numpy as np
import onnx_ir as ir
from hypothesis import strategies as st

from splitnet.codec import (
    Bottleneck,
    CodecName,
    Layer,
    TensorCodec,
    ValueStatistics,
    codec_for,
    codec_model,
    statistics_of,
)
from splitnet.onnx_session import OnnxSession, Optimisation
from splitnet.tensors import BATCH, Array, Tensors, TensorSpec

#: Finite float32 numbers whose scale is far from where float32 runs out of digits.
NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32).filter(lambda number: number == 0 or abs(number) > 2**-80)


@st.composite
def ranges(draw: st.DrawFn) -> tuple[float, float]:
    """A range of values, perhaps of one, perhaps all of one sign."""
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return low, high


def tensor(*sample: int, dtype: str = "float32") -> TensorSpec:
    """A boundary tensor `t` whose samples have the shape `sample`."""
    return TensorSpec("t", dtype, (BATCH, *sample))


def seen(spec: TensorSpec, *extremes: float) -> ValueStatistics:
    """Statistics of samples that were `extremes` everywhere."""
    shape = [size if isinstance(size, int) else 1 for size in spec.shape]
    parts = [statistics_of(spec, np.full(shape, extreme, spec.dtype)) for extreme in extremes]
    merged = parts[0]
    for part in parts[1:]:
        merged = merged.merge(part)
    return merged


def fitted(name: CodecName, spec: TensorSpec, values: Array, bottleneck: Bottleneck | None = None) -> TensorCodec:
    """Codec `name` as calibrated on `values`."""
    codec = codec_for(name, spec, statistics_of(spec, values), bottleneck)
    assert codec.name == name
    return codec


class Carrier:
    """Both sides of a codec, loaded."""

    def __init__(self, codec: TensorCodec, *, opset: int = 13, optimisation: Optimisation = "basic") -> None:
        self.codec = codec
        self._encoder = _session(codec, "encode", opset, optimisation)
        self._decoder = _session(codec, "decode", opset, optimisation)

    def encode(self, values: Array) -> Tensors:
        """What is sent, which is what the codec says it sends."""
        sent = self._encoder.run({self.codec.tensor.name: values})
        assert list(sent) == [wire.name for wire in self.codec.wires]
        samples = [wire.check(sent[wire.name]) for wire in self.codec.wires]
        assert sum(array.nbytes for array in sent.values()) == self.codec.nbytes * samples[0]
        return sent

    def decode(self, sent: Tensors) -> Array:
        """What the other side computes with."""
        values: Array = self._decoder.run(sent)[self.codec.tensor.name]
        self.codec.tensor.check(values)
        return values

    def __call__(self, values: Array) -> Array:
        """Carry `values` over."""
        return self.decode(self.encode(values))


@lru_cache(maxsize=64)
def _session(
    codec: TensorCodec, direction: Literal["encode", "decode"], opset: int, optimisation: Optimisation
) -> OnnxSession:
    content = ir.to_proto(codec_model(codec, direction, opset=opset)).SerializeToString()
    return OnnxSession(content, name=f"{codec.name} {direction}", optimisation=optimisation)


def layer_weights(seed: int, *shape: int) -> Array:
    """Random weights."""
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def linear_bottleneck(features: int, code: int, *, low: float = -8.0, high: float = 8.0) -> Bottleneck:
    """Layers `features` -> `code` -> `features` with random weights."""
    return Bottleneck(
        (Layer("linear", layer_weights(0, features, code), layer_weights(1, code)),),
        (Layer("linear", layer_weights(2, code, features), layer_weights(3, features)),),
        low,
        high,
    )
