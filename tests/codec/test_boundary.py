"""Codecs in place: what leaves the lower segment, and how near the upper one comes to what was meant."""

import math
from functools import cache

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from splitnet.codec import (
    CodecName,
    TensorCodec,
    ValueRange,
    append_encoder,
    codec_for,
    is_applicable,
    prepend_decoder,
    quantisation,
)
from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.onnx_session import OnnxSession
from splitnet.tensors import BATCH, Array, TensorSpec

WIDTH = 4
T = TensorSpec("t", "float32", (BATCH, WIDTH))
COUNT = TensorSpec("count", "int64", (BATCH, WIDTH))
RANGE = ValueRange(-1.0, 3.0)

#: Finite float32 numbers whose scale is far from where float32 runs out of digits.
NUMBERS = st.floats(-(2.0**100), 2.0**100, width=32).filter(lambda number: number == 0 or abs(number) > 2**-80)


@st.composite
def ranges(draw: st.DrawFn) -> ValueRange:
    low, high = sorted((draw(NUMBERS), draw(NUMBERS)))
    return ValueRange(low, high)


def model(source: str, target: str) -> ir.Model:
    """`target` = operator(`source`), at basic optimisation gone but for its names."""
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [BATCH, WIDTH]) for name in (source, target)]
    node = helper.make_node("Identity", [source], [target], name="only")
    graph = helper.make_graph([node], "g", infos[:1], infos[1:])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return ir.from_proto(proto)


def session(made: ir.Model) -> OnnxSession:
    return OnnxSession(ir.to_proto(made).SerializeToString(), name="test", optimisation="basic")


class Sending:
    """A lower segment x -> t with the codec's encoder, an upper one t -> y with its decoder."""

    def __init__(self, codec: TensorCodec) -> None:
        lower, upper = model("x", "t"), model("t", "y")
        del lower.graph.outputs[:]
        append_encoder(lower, codec)
        prepend_decoder(upper, codec)
        self.lower, self.upper, self.wire = session(lower), session(upper), codec.wire.name

    def __call__(self, values: Array) -> tuple[Array, Array]:
        """Return what is sent and what the other side computes with."""
        sent = self.lower.run({"x": values})
        return sent[self.wire], self.upper.run(sent)["y"]


@cache
def f16() -> Sending:
    return Sending(TensorCodec("f16", T))


def rows(values: list[float] | Array) -> Array:
    return np.resize(np.asarray(values, np.float32), (math.ceil(len(values) / WIDTH), WIDTH))


@given(st.lists(st.floats(-65504, 65504, width=32), min_size=1, max_size=8))
def test_f16_is_right_to_2_to_the_minus_11(numbers: list[float]) -> None:
    values = rows(numbers)
    sent, back = f16()(values)
    assert sent.dtype == np.float16
    assert sent.nbytes * 2 == values.nbytes
    error = np.abs(back.astype(np.float64) - values)
    # Below 2**-14 float16 counts in steps of 2**-24.
    assert np.all(error <= np.maximum(np.abs(values.astype(np.float64)) * 2**-11, 2**-25))


@given(st.lists(st.sampled_from([1e5, -1e5, 65520.0, np.inf, -np.inf]), min_size=4, max_size=4))
def test_f16_overflows_to_infinity(numbers: list[float]) -> None:
    assert np.array_equal(f16()(rows(numbers))[1], np.sign(rows(numbers)) * np.inf)


def test_f16_carries_nan() -> None:
    assert np.isnan(f16()(rows([np.nan] * 4))[1]).all()


@given(ranges(), st.lists(st.floats(0, 1), min_size=1, max_size=16))
def test_u8_is_right_to_half_a_step_inside_the_range(value_range: ValueRange, shares: list[float]) -> None:
    scale = float(quantisation(value_range)[0])
    low, high = min(value_range.low, 0.0), max(value_range.high, 0.0)
    values = rows([low + share * (high - low) for share in [0.0, 1.0, *shares]])
    sent, back = Sending(TensorCodec("u8", T, value_range))(values)
    assert sent.dtype == np.uint8
    assert sent.nbytes * 4 == values.nbytes
    # The steps of float32 are felt where 255 of them make the range: 2**-24 of a value up to 255 scales.
    assert np.max(np.abs(back.astype(np.float64) - values)) <= scale * (0.5 + 1e-4)


@given(ranges())
def test_u8_keeps_zero_exactly(value_range: ValueRange) -> None:
    scale, zero_point = quantisation(value_range)
    sent, back = Sending(TensorCodec("u8", T, value_range))(rows([0.0] * 4))
    assert np.all(sent == zero_point)
    assert np.all(back == 0.0)
    assert scale > 0


@given(ranges(), st.floats(1.01, 1e6), st.booleans())
def test_u8_saturates_outside_the_range(value_range: ValueRange, factor: float, above: bool) -> None:  # noqa: FBT001
    scale, zero_point = (float(number) for number in quantisation(value_range))
    low, high = (0 - zero_point) * scale, (255 - zero_point) * scale
    beyond = high + (high - low) * factor if above else low - (high - low) * factor
    sent, back = Sending(TensorCodec("u8", T, value_range))(rows([beyond] * 4))
    assert np.all(sent == (255 if above else 0))
    assert np.allclose(back, high if above else low, rtol=1e-6)


def test_u8_uses_all_of_its_steps() -> None:
    sent, _ = Sending(TensorCodec("u8", T, RANGE))(rows(list(np.linspace(-1, 3, 256))))
    assert np.array_equal(np.unique(sent), np.arange(256))


def test_a_range_of_one_value_is_no_division_by_zero() -> None:
    for value, step, zero in ((0.0, 1.0, 0), (5.0, 5 / 255, 0), (-5.0, 5 / 255, 255)):
        scale, zero_point = quantisation(ValueRange(value, value))
        assert float(scale) == pytest.approx(step)
        assert int(zero_point) == zero


def test_none_sends_the_tensor_itself() -> None:
    values = rows([1.5, np.nan, np.inf, 1e-40])
    lower, upper = model("x", "t"), model("t", "y")
    before = len(lower.graph), len(upper.graph)
    codec = TensorCodec("none", T)
    append_encoder(lower, codec)
    prepend_decoder(upper, codec)
    assert codec.wire == T
    assert (len(lower.graph), len(upper.graph)) == before
    assert [value.name for value in lower.graph.outputs] == ["t"]
    assert np.array_equal(session(lower).run({"x": values})["t"], values, equal_nan=True)


def test_none_makes_an_inner_tensor_an_output_once() -> None:
    lower = model("x", "t")
    del lower.graph.outputs[:]
    for _ in range(2):
        append_encoder(lower, TensorCodec("none", T))
    assert [value.name for value in lower.graph.outputs] == ["t"]


@pytest.mark.parametrize(
    ("name", "wire"),
    [
        ("none", T),
        ("f16", TensorSpec("t.f16", "float16", (BATCH, WIDTH))),
        ("u8", TensorSpec("t.u8", "uint8", (BATCH, WIDTH))),
    ],
)
def test_a_wire_is_called_after_its_tensor_and_codec(name: CodecName, wire: TensorSpec) -> None:
    codec = TensorCodec(name, T, RANGE)
    assert codec.wire == wire
    lower, upper = model("x", "t"), model("t", "y")
    append_encoder(lower, codec)
    prepend_decoder(upper, codec)
    assert wire.name in session(lower).outputs
    assert session(upper).inputs == (wire.name,)


def test_a_tensor_that_is_an_answer_too_stays_one() -> None:
    lower = model("x", "t")
    append_encoder(lower, TensorCodec("u8", T, RANGE))
    made = session(lower).run({"x": rows([0.5] * 4)})
    assert list(made) == ["t", "t.u8"]
    assert np.all(made["t"] == 0.5)


def test_an_input_that_is_an_output_is_decoded_for_both() -> None:
    upper = model("t", "y")
    upper.graph.outputs.append(upper.graph.inputs[0])
    prepend_decoder(upper, TensorCodec("f16", T))
    made = session(upper).run({"t.f16": np.full((1, WIDTH), 0.25, np.float16)})
    assert all(np.all(made[name] == 0.25) and made[name].dtype == np.float32 for name in ("y", "t"))


def test_a_relay_may_decode_what_it_passes_on() -> None:
    relay = model("t", "y")
    relay.graph.outputs[:] = relay.graph.inputs
    relay.graph.remove(relay.graph[0], safe=True)
    prepend_decoder(relay, TensorCodec("f16", T))
    made = session(relay).run({"t.f16": np.full((1, WIDTH), 0.25, np.float16)})
    assert made["t"].dtype == np.float32
    assert np.all(made["t"] == 0.25)


@given(ranges())
def test_two_wires_of_one_segment_keep_their_own_scales(other: ValueRange) -> None:
    lower = model("x", "t")
    second = TensorSpec("x", "float32", T.shape)
    append_encoder(lower, TensorCodec("u8", T, RANGE))
    append_encoder(lower, TensorCodec("u8", second, other))
    values = rows([0.5] * 4)
    made = session(lower).run({"x": values})
    for name, value_range in (("t.u8", RANGE), ("x.u8", other)):
        scale, zero_point = quantisation(value_range)
        steps = float(np.float32(0.5) / scale) + float(zero_point)
        assert abs(float(made[name][0, 0]) - min(max(steps, 0.0), 255.0)) <= 0.5 + 1e-4


def test_a_tensor_that_is_not_in_the_segment_is_named() -> None:
    stranger = TensorSpec("stranger", "float32", T.shape)
    for name in ("none", "f16"):
        with pytest.raises(ModelError, match="'stranger' is not in the segment"):
            append_encoder(model("x", "t"), TensorCodec(name, stranger))
    with pytest.raises(ModelError, match=r"'stranger' is not an input of the segment; inputs are \['t'\]"):
        prepend_decoder(model("t", "y"), TensorCodec("f16", stranger))


def test_u8_needs_a_range_and_says_how_to_give_one() -> None:
    with pytest.raises(InvalidArgumentError, match="tensor 't': codec u8 needs its range; give --calibration"):
        TensorCodec("u8", T)


@pytest.mark.parametrize("name", ["none", "f16", "u8"])
def test_only_float32_is_coded(name: CodecName) -> None:
    assert codec_for(name, T, RANGE).name == name
    for dtype in ("float16", "float64", "int64", "uint8", "bool"):
        spec = TensorSpec("t", dtype, T.shape)
        codec = codec_for(name, spec, None)
        assert codec.name == "none"
        assert codec.wire == spec
        assert is_applicable(name, spec, None)


@pytest.mark.parametrize(
    ("name", "value_range", "applicable"),
    [
        ("none", None, True),
        ("none", ValueRange(-1e30, 1e30), True),
        ("f16", None, True),
        ("f16", ValueRange(-65504.0, 65504.0), True),
        ("f16", ValueRange(-1.0, 65505.0), False),
        ("f16", ValueRange(-70000.0, -1.0), False),
        ("u8", None, False),
        ("u8", RANGE, True),
    ],
)
def test_what_can_carry_a_float32(name: CodecName, value_range: ValueRange | None, *, applicable: bool) -> None:
    assert is_applicable(name, T, value_range) == applicable
