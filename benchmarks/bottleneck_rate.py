"""Bytes of a tile against accuracy: codecs at both boundaries of the example; `--seconds` trains a bottleneck."""

import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx_ir as ir
from rich.console import Console
from rich.table import Table

from benchmarks.harness import SEED, read_options
from splitnet.codec import CodecName, TensorCodec, codec_model, statistics_of
from splitnet.cost import default_site
from splitnet.graph import extract_segment, model_bytes
from splitnet.learn.bottleneck.trained import Training
from splitnet.onnx_session import OnnxSession
from splitnet.partition import PartitionOptions
from splitnet.partition.analysis import Analysis, analyse
from splitnet.partition.bottlenecks import train
from splitnet.samples import read_samples
from splitnet.tensors import Array, TensorSpec

_EXAMPLE = Path(__file__).parents[1] / "examples" / "pcb_inspection"
_BOUNDARIES = ("boundary1", "boundary2")
_OUTPUT = "logits"
_CODECS: tuple[CodecName, ...] = ("none", "f16", "u8", "u8c", "u4", "topk")
_REDUCTIONS = (4, 8, 16, 32)
# What ranges are taken from, as in a partition.
_STATISTICS_SAMPLES = 256


@dataclass(frozen=True, slots=True)
class Rate:
    """One codec at one boundary.

    Attributes:
        boundary: the tensor.
        codec: its name, and a bottleneck's reduction.
        nbytes: bytes of a tile.
        accuracy: share of test tiles that the last exit names rightly.
        agreement: share of test tiles that it names as it does uncut.
    """

    boundary: str
    codec: str
    nbytes: int
    accuracy: float
    agreement: float


def main() -> None:
    """Measure every codec, train the bottlenecks, and print."""
    options = read_options(__doc__, seconds=60.0)
    with tempfile.TemporaryDirectory() as folder:
        analysis = _analysis(Path(folder))
    rates = [rate for name in _BOUNDARIES for rate in _rates(analysis, analysis.specs[name], options.seconds)]
    if options.json_output:
        print(json.dumps([asdict(rate) for rate in rates]))
    else:
        _show(rates)


def _analysis(folder: Path) -> Analysis:
    return analyse(
        PartitionOptions(
            model=_EXAMPLE / "model.onnx",
            output=folder / "example.split",
            site=default_site(),
            name="pcb",
            calibration=_EXAMPLE / "calibration.npz",
            use_exits=False,
        )
    )


def _rates(analysis: Analysis, tensor: TensorSpec, seconds: float) -> Iterator[Rate]:
    tiles = read_samples(_EXAMPLE / "tiles" / "test.npz", analysis.inputs)
    assert tiles.labels is not None
    inputs = [spec.name for spec in analysis.inputs]
    below = _session(extract_segment(analysis.model, inputs, [tensor.name]))
    above = _session(extract_segment(analysis.model, [tensor.name], [_OUTPUT]))
    seen = below.run(analysis.samples.take(range(_STATISTICS_SAMPLES)))[tensor.name]
    values = below.run(tiles.inputs)[tensor.name]
    uncut = _classes(above, tensor, values)
    for name, codec in _codecs(analysis, tensor, seen, seconds):
        made = _classes(above, tensor, _there_and_back(codec, values))
        right, same = float(np.mean(made == tiles.labels)), float(np.mean(made == uncut))
        yield Rate(tensor.name, name, codec.nbytes, right, same)


def _codecs(
    analysis: Analysis, tensor: TensorSpec, seen: Array, seconds: float
) -> Iterator[tuple[str, TensorCodec]]:
    statistics = statistics_of(tensor, seen)
    for name in _CODECS:
        yield name, TensorCodec(name, tensor, statistics)
    for reduction in _REDUCTIONS:
        how = Training(reduction, seconds, SEED)
        learned = train(analysis.model, tensor, [_OUTPUT], analysis.samples, training=how)
        codec = TensorCodec("bottleneck", tensor, statistics, learned.bottleneck)
        yield f"bottleneck {reduction} ({learned.losses.steps} steps)", codec


def _there_and_back(codec: TensorCodec, values: Array) -> Array:
    if codec.name == "none":
        return values
    encode, decode = (OnnxSession(model_bytes(codec_model(codec, way)), name=way) for way in ("encode", "decode"))
    return decode.run(encode.run({codec.tensor.name: values}))[codec.tensor.name]


def _classes(above: OnnxSession, tensor: TensorSpec, values: Array) -> Array:
    return np.asarray(above.run({tensor.name: values})[_OUTPUT].argmax(axis=1))


def _show(rates: list[Rate]) -> None:
    table = Table("boundary", "codec", "bytes", "accuracy", "agreement", title="bytes of a tile and accuracy")
    for rate in rates:
        shares = f"{rate.accuracy:.2%}", f"{rate.agreement:.2%}"
        table.add_row(rate.boundary, rate.codec, f"{rate.nbytes:,}", *shares)
    Console().print(table)


def _session(model: ir.Model) -> OnnxSession:
    return OnnxSession(model_bytes(model), name="the example")


if __name__ == "__main__":
    main()
