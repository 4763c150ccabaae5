"""What each codec's own nodes take on one thread, and what they leave of two activations of common networks."""

from functools import partial

import numpy as np
import onnx_ir as ir

from benchmarks.harness import SEED, Figure, interleave, median, read_options, show
from splitnet.codec import CODECS, Bottleneck, CodecName, Layer, TensorCodec, codec_for, codec_model, statistics_of
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import BATCH, Array, TensorSpec

#: After the first stage of a ResNet-18 (803 KB), and in the middle of a MobileNetV2 (75 KB).
_SHAPES = ((64, 56, 56), (96, 14, 14))
#: The bottleneck is a 1x1 convolution to a code of so many times fewer channels, and one back.
_NARROWER = 8


def main() -> None:
    """Time every codec on every shape and print."""
    options = read_options(__doc__, seconds=12.0)
    figures = [figure for shape in _SHAPES for figure in _figures(shape, seconds=options.seconds / len(_SHAPES))]
    show("codecs of one float32 sample, on one thread", figures, options)


def _figures(shape: tuple[int, int, int], *, seconds: float) -> list[Figure]:
    spec = TensorSpec("activation", "float32", (BATCH, *shape))
    values = {name: _values(name, shape) for name in CODECS}
    codecs = {name: _codec(name, spec, values[name]) for name in CODECS}
    calls = {}
    for name, codec in codecs.items():
        if name != "none":
            encoder, decoder = (_session(codec_model(codec, direction)) for direction in ("encode", "decode"))
            taken = {spec.name: values[name]}
            calls[f"{name}: encode, ms"] = partial(encoder.run, taken)
            calls[f"{name}: decode, ms"] = partial(decoder.run, encoder.run(taken))
    title = "x".join(map(str, shape))
    sizes = [Figure(f"{title}, {name}: bytes", codec.nbytes) for name, codec in codecs.items()]
    times = interleave(calls, seconds=seconds, block=5)
    return sizes + [Figure(f"{title}, {name}", median(taken)) for name, taken in times.items()]


def _codec(name: CodecName, spec: TensorSpec, values: Array) -> TensorCodec:
    codec = codec_for(name, spec, statistics_of(spec, values), _bottleneck(values.shape[1]))
    assert codec.name == name, name
    return codec


def _values(name: CodecName, shape: tuple[int, int, int]) -> Array:
    """Half of them zeros, as after a ReLU; whole numbers for those codecs that carry only these."""
    rng = np.random.default_rng(SEED)
    if name in {"bits", "byte"}:
        return rng.integers(0, 2 if name == "bits" else 256, (1, *shape)).astype(np.float32)
    return np.maximum(rng.standard_normal((1, *shape), np.float32), 0)


def _bottleneck(channels: int) -> Bottleneck:
    code = channels // _NARROWER
    return Bottleneck((_pointwise(channels, code),), (_pointwise(code, channels),), -1.0, 1.0)


def _pointwise(taken: int, made: int) -> Layer:
    weight = np.random.default_rng(SEED).standard_normal((made, taken, 1, 1), np.float32)
    return Layer("conv", weight / np.float32(taken), np.zeros(made, np.float32))


def _session(model: ir.Model) -> OnnxSession:
    return OnnxSession(ir.to_proto(model).SerializeToString(), name="codec")


if __name__ == "__main__":
    main()
