"""`bottleneck`: learned layers to a narrow code, which is sent as uint8, and learned layers back."""

from collections.abc import Sequence

import onnx_ir as ir

from splitnet.codec.affine import Quantisation, quantisation
from splitnet.codec.bottleneck import Bottleneck, Layer
from splitnet.codec.family import Family, Subject, has_rows
from splitnet.codec.nodes import Nodes
from splitnet.tensors import TensorSpec


class Learned(Family):
    """`bottleneck`: the code of `Subject.bottleneck`, quantised with one scale over its range."""

    def codes(self, tensor: TensorSpec) -> bool:
        """Float32 in rows."""
        return tensor.dtype == "float32" and has_rows(tensor)

    def refusal(self, subject: Subject) -> str | None:
        """Refuse what has no bottleneck, or one made for another shape."""
        if subject.bottleneck is None:
            return "needs a bottleneck learned for it"
        if not subject.bottleneck.fits(_sample(subject)):
            return f"has a bottleneck that does not fit its shape {list(subject.tensor.shape)}"
        return None

    def wires(self, subject: Subject, name: str) -> tuple[TensorSpec, ...]:
        """Return the code as uint8, each sample in the shape that the encoder makes."""
        code = _learned(subject).code_shape(_sample(subject))
        assert code is not None, name
        return (TensorSpec(name, "uint8", (*subject.tensor.shape[:1], *code)),)

    def encode(self, nodes: Nodes, subject: Subject, source: ir.Value) -> Sequence[ir.Value]:
        """Run the encoder's layers and quantise the code."""
        learned = _learned(subject)
        return [_quantisation(learned).quantise(nodes, _run(nodes, learned.encoder, source))]

    def decode(self, nodes: Nodes, subject: Subject, wires: Sequence[ir.Value]) -> ir.Value:
        """Dequantise the code and run the decoder's layers."""
        learned = _learned(subject)
        return _run(nodes, learned.decoder, _quantisation(learned).dequantise(nodes, wires[0]))


def _learned(subject: Subject) -> Bottleneck:
    assert subject.bottleneck is not None, subject.tensor.name
    return subject.bottleneck


def _sample(subject: Subject) -> tuple[int, ...]:
    """The shape behind axis 0, which counts samples also where it has a fixed size."""
    return tuple(size for size in subject.tensor.shape[1:] if isinstance(size, int))


def _quantisation(learned: Bottleneck) -> Quantisation:
    return quantisation(learned.code_low, learned.code_high)


def _run(nodes: Nodes, layers: Sequence[Layer], value: ir.Value) -> ir.Value:
    for layer in layers:
        weight, bias = nodes.constant(layer.weight), nodes.constant(layer.bias)
        if layer.operator == "linear":
            value = nodes.add("Add", [nodes.add("MatMul", [value, weight]), bias])
        else:
            value = _convolution(nodes, layer, [value, weight, bias])
        if layer.relu:
            value = nodes.add("Relu", [value])
    return value


def _convolution(nodes: Nodes, layer: Layer, inputs: Sequence[ir.Value]) -> ir.Value:
    strides, pads = [layer.stride] * 2, [layer.padding] * 4
    if layer.operator == "conv":
        return nodes.add("Conv", inputs, strides=strides, pads=pads)
    return nodes.add(
        "ConvTranspose", inputs, strides=strides, pads=pads, output_padding=list(layer.output_padding)
    )
