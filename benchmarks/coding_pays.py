"""What coding a wire tensor outside the graph saves and costs, and the bandwidth below which it pays.

The tensors are activations of the example's network on its own tiles, and of a stem and two residual blocks like
ResNet-18's, with random weights, on pictures laid out of tiles; pictures stand for an input sent as it is.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper, numpy_helper

from benchmarks.harness import SEED, Figure, read_options, show
from splitnet.coding import CODINGS, is_applicable, measure
from splitnet.tensors import BATCH, Array, TensorSpec

_EXAMPLE = Path(__file__).parents[1] / "examples" / "pcb_inspection"
#: Activations of the example's network after its first and its second stage.
_BOUNDARIES = ("boundary1", "boundary2")
_SIDE, _CHANNELS = 256, 64
_SAMPLES_A_SECOND = 8


def main() -> None:
    """Measure every coding that applies to each tensor and print."""
    options = read_options(__doc__, seconds=4.0)
    count = max(3, round(_SAMPLES_A_SECOND * options.seconds))
    figures = [figure for name, samples in _tensors(count) for figure in _figures(name, samples)]
    show("codings of wire tensors, a sample", figures, options)


def _figures(name: str, samples: Sequence[Array]) -> Iterator[Figure]:
    spec = TensorSpec(name, samples[0].dtype.name, (BATCH, *samples[0].shape[1:]))
    for coding in CODINGS:
        if coding == "none" or not is_applicable(coding, spec):
            continue
        found = measure(coding, samples)
        took_ms = found.encode_ms + found.decode_ms
        saved_bits = 8 * (spec.sample_nbytes - found.bytes_per_sample)
        yield Figure(f"{name}, {coding}: plain / coded", spec.sample_nbytes / found.bytes_per_sample)
        yield Figure(f"{name}, {coding}: encode and decode, ms", took_ms)
        yield Figure(f"{name}, {coding}: pays below, Mbit/s", saved_bits / took_ms / 1e3)


def _tensors(count: int) -> Iterator[tuple[str, list[Array]]]:
    """Yield each tensor that might be sent, with so many samples of it, `[1, ...]` each."""
    tiles = np.load(_EXAMPLE / "tiles" / "test.npz")["tiles"]
    activations = _run(_example_model(), "tiles", [tiles[index : index + 1] for index in range(count)])
    pictures = [_picture(tiles, index) for index in range(count)]
    activations |= _run(_residual_model(), "picture", pictures)
    for name, samples in activations.items():
        for codec, quantised in (("f16", _f16), ("u8", _u8), ("u4", _u4)):
            yield f"{name} {codec}", [quantised(sample) for sample in samples]
    yield "picture", [picture[:, :1] for picture in pictures]


def _picture(tiles: Array, index: int) -> Array:
    """Return uint8 `[1, 2, 256, 256]`: 4 rows of 32 tiles of 64 x 8, from another place for each index."""
    some = np.roll(tiles, -97 * index, axis=0)[:128].reshape(4, 32, 2, 64, 8)
    return np.ascontiguousarray(some.transpose(2, 0, 3, 1, 4)).reshape(1, 2, _SIDE, _SIDE)


def _example_model() -> onnx.ModelProto:
    """Return the example's network, answering its activations."""
    model = onnx.load(_EXAMPLE / "model.onnx")
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in _BOUNDARIES)
    return model


def _residual_model() -> onnx.ModelProto:
    """Return a 7 x 7 stem with pooling and two residual blocks, random after He et al. (2015)."""
    rng = np.random.default_rng(SEED)
    nodes: list[NodeProto] = [
        helper.make_node("Cast", ["picture"], ["bytes"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["bytes", "scale"], ["x"]),
    ]
    weights = [numpy_helper.from_array(np.array(2 / 255, np.float32), "scale")]

    def convolve(source: str, target: str, channels: int, size: int, stride: int) -> None:
        shape = (_CHANNELS, channels, size, size)
        values = rng.standard_normal(shape) * np.sqrt(2 / (channels * size * size))
        weights.append(numpy_helper.from_array(values.astype(np.float32), f"{target}_w"))
        pads = [size // 2] * 4
        nodes.append(helper.make_node("Conv", [source, f"{target}_w"], [target], strides=[stride] * 2, pads=pads))

    convolve("x", "stem_sum", 2, 7, 2)
    nodes.append(helper.make_node("Relu", ["stem_sum"], ["stem_full"]))
    nodes.append(
        helper.make_node("MaxPool", ["stem_full"], ["stem"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    )
    for source, block in (("stem", "block1"), ("block1", "block2")):
        convolve(source, f"{block}_a", _CHANNELS, 3, 1)
        nodes.append(helper.make_node("Relu", [f"{block}_a"], [f"{block}_b"]))
        convolve(f"{block}_b", f"{block}_c", _CHANNELS, 3, 1)
        nodes.append(helper.make_node("Add", [source, f"{block}_c"], [f"{block}_d"]))
        nodes.append(helper.make_node("Relu", [f"{block}_d"], [block]))
    picture = helper.make_tensor_value_info("picture", TensorProto.UINT8, [1, 2, _SIDE, _SIDE])
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in ("stem", "block2")]
    graph = helper.make_graph(nodes, "residual", [picture], outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def _run(model: onnx.ModelProto, name: str, inputs: Sequence[Array]) -> dict[str, list[Array]]:
    """Return the model's outputs by name, one entry an input."""
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    outputs = [output.name for output in session.get_outputs()]
    answers = [session.run(None, {name: array}) for array in inputs]
    return {output: [answer[index] for answer in answers] for index, output in enumerate(outputs)}


def _f16(array: Array) -> Array:
    return array.astype(np.float16)


def _u8(array: Array) -> Array:
    """Return a ReLU's answer in 255 equal steps."""
    levels: Array = np.rint(array * (255 / array.max())).astype(np.uint8)
    return levels


def _u4(array: Array) -> Array:
    """Return a ReLU's answer in 15 equal steps, two a byte along the last axis."""
    levels = np.rint(array * (15 / array.max())).astype(np.uint8)
    packed: Array = levels[..., ::2] | levels[..., 1::2] << 4
    return packed


if __name__ == "__main__":
    main()
