"""What it costs to send each tensor in each way: codecs timed here, codings measured on the tensor's values."""

import time
from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np

from splitnet.codec import TensorCodec, codec_for, codec_model, is_applicable, is_lossless, statistics_of
from splitnet.codec_names import CODECS, CodecName, CodingName
from splitnet.coding import is_applicable as coding_is_applicable
from splitnet.coding import is_available
from splitnet.coding import measure as measure_coding
from splitnet.cost import median_ms
from splitnet.graph import model_bytes
from splitnet.onnx_session import OnnxSession
from splitnet.partition.analysis import Analysis
from splitnet.partition.options import PartitionOptions
from splitnet.partition.seen import Seen
from splitnet.partition.ways import PricedWay, Way
from splitnet.tensors import BATCH, Array, TensorSpec

# Codecs are timed on tensors of these shapes, first activations of many networks: channels come first in the one
# and last in the other, which makes scales per channel several times dearer.
_IMAGE = TensorSpec("reference", "float32", (BATCH, 64, 56, 56))
_ROWS = TensorSpec("reference", "float32", (BATCH, 392, 512))
_TIMING_S = 0.01
# Codings are measured for so long, smallest tensors first; those not reached by then get none.
_CODING_S = 4.0
# A coding is a way of its own where it saves this share of the bytes.
_LEAST_SAVED = 0.05
# On a core that has just woken for a request Python takes so much longer than in a loop (benchmarks/README.md).
_JUST_WOKEN = 2.0
# A link that carries the tensor as fast as this leaves nothing for a coding to win.
_NEGLIGIBLE_MS = 0.05


def sendable(analysis: Analysis) -> tuple[str, ...]:
    """Return the tensors that can cross a link.

    Every axis but the batch has a size, and where the model has a batch, so has the tensor. In a quantised model
    only inputs and what QuantizeLinear made: cut elsewhere, parts are fused otherwise and answer otherwise.
    """
    names = []
    for tensor in analysis.flow.tensors:
        spec = analysis.specs.get(tensor.name)
        if spec is None or not tensor.consumers or (analysis.batched and spec.batch_axis is None):
            continue
        if analysis.quantised and tensor.producer is not None and tensor.name not in analysis.quantised:
            continue
        names.append(tensor.name)
    return tuple(names)


def price(analysis: Analysis, options: PartitionOptions, seen: Seen) -> dict[str, tuple[PricedWay, ...]]:
    """Return the ways to send each tensor that can cross a link.

    Args:
        analysis: the model.
        options: the job: which codecs and codings may be used, and the links.
        seen: what calibration samples made of the tensors.
    """
    inputs = {spec.name for spec in analysis.inputs}
    ways: dict[str, tuple[PricedWay, ...]] = {}
    slowest_bps = min(link.bandwidth_bps for link in options.site.links)
    deadline = time.monotonic() + (_CODING_S if options.coding == "auto" else 0.0)
    for name in sorted(sendable(analysis), key=lambda one: analysis.specs[one].sample_nbytes):
        codecs = _codecs(analysis.specs[name], options, seen, is_input=name in inputs)
        plain = tuple(_plain(codec) for codec in codecs)
        ways[name] = plain
        if time.monotonic() < deadline and name in seen.values:
            for codec, before in zip(codecs, plain, strict=True):
                if before.nbytes * 8e3 / slowest_bps > _NEGLIGIBLE_MS:
                    ways[name] += tuple(_coded(codec, before, seen.values[name], is_input=name in inputs))
    return ways


def _codecs(spec: TensorSpec, options: PartitionOptions, seen: Seen, *, is_input: bool) -> list[TensorCodec]:
    """The codecs that the tensor may be sent with; an input is coded with loss by the planner's choice alone."""
    statistics, bottleneck = seen.statistics.get(spec.name), seen.bottlenecks.get(spec.name)
    wanted: Sequence[CodecName] = CODECS if options.codec == "auto" else (options.codec,)
    if options.codec not in ("auto", "none") and is_input:
        wanted = [codec for codec in CODECS if is_lossless(codec)]
    if options.calibration is None:
        # Random samples do not show what a codec does to the answers: f16 alone is near enough to nothing.
        wanted = [codec for codec in wanted if codec == "none" or (codec == "f16" and not is_input)]
    usable = [codec for codec in wanted if is_applicable(codec, spec, statistics, bottleneck)]
    found = [codec_for(codec, spec, statistics, bottleneck) for codec in usable]
    # An explicit codec that does not apply to, say, integers leaves them as they are.
    return list({codec.name: codec for codec in found}.values())


def _plain(codec: TensorCodec) -> PricedWay:
    millions = codec.tensor.sample_nbytes / np.dtype(codec.tensor.dtype).itemsize / 1e6
    if codec.name == "none":
        encode_ms, decode_ms = 0.0, 0.0
    elif codec.bottleneck is not None:
        encode_ms, decode_ms = _run_ms(codec)
    else:
        encode_ms, decode_ms = (ms * millions for ms in _ms_per_million(codec.name, _reference(codec.tensor)))
    return PricedWay(Way(codec.name), float(codec.nbytes), encode_ms, decode_ms)


def _reference(tensor: TensorSpec) -> TensorSpec:
    return _IMAGE if len(tensor.shape) >= len(_IMAGE.shape) else _ROWS


@cache
def _ms_per_million(name: CodecName, reference: TensorSpec) -> tuple[float, float]:
    """Return what encoding and decoding take here, ms per million values."""
    array = np.abs(_normal(reference)).round().clip(0, 1) if is_lossless(name) else _normal(reference)
    codec = codec_for(name, reference, statistics_of(reference, array))
    encode_ms, decode_ms = _run_ms(codec, array)
    return encode_ms / array.size * 1e6, decode_ms / array.size * 1e6


def _normal(spec: TensorSpec) -> Array:
    shape = [size if isinstance(size, int) else 1 for size in spec.shape]
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _run_ms(codec: TensorCodec, array: Array | None = None) -> tuple[float, float]:
    """Time the codec's own nodes, both ways."""
    array = _normal(codec.tensor) if array is None else array
    encoder, decoder = (
        OnnxSession(model_bytes(codec_model(codec, direction)), name=f"codec {codec.name} {direction}")
        for direction in ("encode", "decode")
    )
    wires = encoder.run({codec.tensor.name: array})
    return median_ms(encoder, {codec.tensor.name: array}, _TIMING_S), median_ms(decoder, wires, _TIMING_S)


def _coded(codec: TensorCodec, plain: PricedWay, values: Array, *, is_input: bool) -> Iterator[PricedWay]:
    """Yield the codings of the codec's wire that save bytes.

    A codec of several wires has none, nor has a bottleneck: what it will send is not known before it has learned.
    """
    if len(codec.wires) != 1 or codec.bottleneck is not None:
        return
    samples = _encoded(codec, values)
    for coding in _codings(codec, is_input=is_input):
        nbytes, encode_ms, decode_ms = measure_coding(coding, samples)
        if nbytes < plain.nbytes * (1 - _LEAST_SAVED):
            way = Way(codec.name, coding)
            encode_ms, decode_ms = encode_ms * _JUST_WOKEN, decode_ms * _JUST_WOKEN
            yield PricedWay(way, nbytes, plain.encode_ms + encode_ms, plain.decode_ms + decode_ms)


def _encoded(codec: TensorCodec, values: Array) -> list[Array]:
    """Return what the codec's one wire carries for each sample."""
    (wire,) = codec.wires
    if codec.name != "none":
        encoder = OnnxSession(model_bytes(codec_model(codec, "encode")), name=f"codec {codec.name}")
        values = encoder.run({codec.tensor.name: values})[wire.name]
    if wire.batch_axis is None:
        return [values]
    return np.split(values, values.shape[wire.batch_axis], wire.batch_axis)


def _codings(codec: TensorCodec, *, is_input: bool) -> list[CodingName]:
    """Images are what inputs are; other tensors are byte strings, regrouped where their elements are wider."""
    wide = all(np.dtype(spec.dtype).itemsize > 1 for spec in codec.wires)
    candidates: list[CodingName] = ["zstd-shuffle" if wide else "zstd"]
    if is_input:
        candidates += ["png", "jpeg"]
    return [
        coding
        for coding in candidates
        if is_available(coding) and all(coding_is_applicable(coding, spec) for spec in codec.wires)
    ]
