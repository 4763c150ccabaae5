"""Codecs in segments: in place, under the names that the rest of the segment knows."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper

from splitnet.codec import CODECS, CodecName, TensorCodec, append_encoder, codec_for, prepend_decoder
from splitnet.errors import ModelError
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import BATCH, Array, TensorSpec
from tests.codec.carrying import Carrier, fitted, linear_bottleneck, seen, tensor

T = tensor(4)
BITS = np.array([[0, 1, 0, 0], [1, 1, 0, 1]], np.float32)
BOTTLENECK = linear_bottleneck(4, 2)

every_codec = pytest.mark.parametrize("name", CODECS)


def model(source: str, target: str) -> ir.Model:
    """`target` = operator(`source`), at basic optimisation gone but for its names."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, 4]) for name in (source, target)]
    node = helper.make_node("Identity", [source], [target], name="only")
    graph = helper.make_graph([node], "g", infos[:1], infos[1:])
    return ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def session(made: ir.Model) -> OnnxSession:
    proto = ir.to_proto(made)
    onnx.checker.check_model(proto, full_check=True)
    return OnnxSession(proto.SerializeToString(), name="test", optimisation="basic")


def rows(*values: float) -> Array:
    return np.array([values], np.float32)


@every_codec
def test_segments_carry_as_the_codec_alone_does(name: CodecName) -> None:
    codec = fitted(name, T, BITS, BOTTLENECK)
    lower, upper = model("x", "t"), model("t", "y")
    del lower.graph.outputs[:]
    append_encoder(lower, codec)
    prepend_decoder(upper, codec)
    sent = session(lower).run({"x": BITS})
    assert list(sent) == [wire.name for wire in codec.wires]
    assert session(upper).inputs == tuple(sent)
    assert np.array_equal(session(upper).run(sent)["y"], Carrier(codec)(BITS))


@pytest.mark.parametrize("name", [name for name in CODECS if name != "f16"])
def test_a_relay_sends_on_in_another_codec(name: CodecName) -> None:
    incoming, outgoing = TensorCodec("f16", T), fitted(name, T, BITS, BOTTLENECK)
    relay = model("t", "y")
    relay.graph.outputs[:] = []
    relay.graph.remove(relay.graph[0], safe=True)
    append_encoder(relay, outgoing)
    prepend_decoder(relay, incoming)
    made = session(relay).run({"t.f16": BITS.astype(np.float16)})
    for wire, array in Carrier(outgoing).encode(BITS).items():
        assert np.array_equal(made[wire], array)


def test_none_adds_no_node() -> None:
    lower, upper = model("x", "t"), model("t", "y")
    append_encoder(lower, TensorCodec("none", T))
    prepend_decoder(upper, TensorCodec("none", T))
    assert (len(lower.graph), len(upper.graph)) == (1, 1)
    values = rows(1.5, np.nan, np.inf, 1e-40)
    assert np.array_equal(session(lower).run({"x": values})["t"], values, equal_nan=True)


def test_none_makes_an_inner_tensor_an_output_once() -> None:
    lower = model("x", "t")
    del lower.graph.outputs[:]
    for _ in range(2):
        append_encoder(lower, TensorCodec("none", T))
    assert [value.name for value in lower.graph.outputs] == ["t"]


@every_codec
def test_a_tensor_that_is_an_answer_too_stays_one(name: CodecName) -> None:
    lower, codec = model("x", "t"), fitted(name, T, BITS, BOTTLENECK)
    append_encoder(lower, codec)
    made = session(lower).run({"x": BITS})
    assert list(made) == list(dict.fromkeys(["t", *(wire.name for wire in codec.wires)]))
    assert np.array_equal(made["t"], BITS)


@every_codec
def test_an_input_that_is_an_output_is_decoded_for_both(name: CodecName) -> None:
    upper, codec = model("t", "y"), fitted(name, T, BITS, BOTTLENECK)
    upper.graph.outputs.append(upper.graph.inputs[0])
    prepend_decoder(upper, codec)
    carrier = Carrier(codec)
    made = session(upper).run(carrier.encode(BITS))
    assert all(np.array_equal(made[name], carrier(BITS)) for name in ("y", "t"))


def test_wires_stand_where_the_tensor_stood_among_the_inputs() -> None:
    upper = model("t", "y")
    others = [ir.Value(name=name, type=ir.TensorType(ir.DataType.FLOAT)) for name in ("first", "last")]
    upper.graph.inputs[:] = [others[0], upper.graph.inputs[0], others[1]]
    prepend_decoder(upper, TensorCodec("topk", T))
    assert [value.name for value in upper.graph.inputs] == ["first", "t.topk.values", "t.topk.indices", "last"]


def test_two_wires_of_one_segment_keep_their_own_scales() -> None:
    lower = model("x", "t")
    for name, high in (("t", 2.55), ("x", 25.5)):
        spec = TensorSpec(name, "float32", T.shape)
        append_encoder(lower, codec_for("u8", spec, seen(spec, 0.0, high)))
    made = session(lower).run({"x": rows(1, 1, 1, 1)})
    assert np.all(made["t.u8"] == 100)
    assert np.all(made["x.u8"] == 10)


def test_a_tensor_that_is_not_in_the_segment_is_named() -> None:
    stranger = TensorSpec("stranger", "float32", T.shape)
    names: tuple[CodecName, ...] = ("none", "f16")
    for name in names:
        with pytest.raises(ModelError, match="'stranger' is not in the segment"):
            append_encoder(model("x", "t"), TensorCodec(name, stranger))
    with pytest.raises(ModelError, match=r"'stranger' is not an input of the segment; inputs are \['t'\]"):
        prepend_decoder(model("t", "y"), TensorCodec("f16", stranger))
