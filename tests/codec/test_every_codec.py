"""What holds for all codecs: opsets, optimisation, batches, and what each of them is offered for."""

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from splitnet.codec import (
    CODECS,
    Bottleneck,
    CodecName,
    TensorCodec,
    ValueStatistics,
    codec_for,
    codec_model,
    is_applicable,
    is_lossless,
    statistics_of,
)
from splitnet.codec.registry import FAMILIES
from splitnet.errors import InvalidArgumentError
from splitnet.onnx_session import Optimisation
from splitnet.tensors import BATCH, DTYPES, TensorSpec
from tests.codec.carrying import Carrier, fitted, linear_bottleneck, seen, tensor

T = tensor(3, 7)
BITS = np.random.default_rng(0).integers(0, 2, (3, 3, 7)).astype(np.float32)
BOTTLENECK = linear_bottleneck(7, 2)
LEVELS: tuple[Optimisation, ...] = ("none", "basic", "all")

every_codec = pytest.mark.parametrize("name", CODECS)


def test_every_name_has_a_family() -> None:
    assert tuple(FAMILIES) == CODECS


@every_codec
# 26 is the newest that onnxruntime 1.31 loads.
@pytest.mark.parametrize("opset", [13, 17, 18, 21, 26])
def test_nodes_mean_the_same_in_every_opset_and_however_they_are_optimised(name: CodecName, opset: int) -> None:
    codec = fitted(name, T, BITS, BOTTLENECK)
    wanted = Carrier(codec, optimisation="none")
    for direction in ("encode", "decode"):
        proto = ir.to_proto(codec_model(codec, direction, opset=opset))
        onnx.checker.check_model(proto, full_check=True)
    for level in LEVELS:
        carrier = Carrier(codec, opset=opset, optimisation=level)
        for wire, array in wanted.encode(BITS).items():
            assert np.array_equal(carrier.encode(BITS)[wire], array)
        assert np.allclose(carrier(BITS), wanted(BITS), rtol=1e-5, atol=1e-6)


@every_codec
def test_a_sample_is_carried_alike_alone_and_among_others(name: CodecName) -> None:
    carrier = Carrier(fitted(name, T, BITS, BOTTLENECK))
    alone = np.concatenate([carrier(BITS[index : index + 1]) for index in range(3)])
    assert np.allclose(carrier(BITS), alone, rtol=1e-5, atol=1e-6)


@every_codec
def test_what_is_called_lossless_is(name: CodecName) -> None:
    noise = np.random.default_rng(1).normal(size=(3, 3, 7)).astype(np.float32)
    statistics = statistics_of(T, noise)
    if is_lossless(name):
        assert np.array_equal(Carrier(fitted(name, T, BITS))(BITS), BITS)
        assert name == "none" or not is_applicable(name, T, statistics)
    else:
        assert not np.array_equal(Carrier(codec_for(name, T, statistics, BOTTLENECK))(noise), noise)


@every_codec
def test_wires_are_called_after_tensor_and_codec(name: CodecName) -> None:
    codec = fitted(name, T, BITS, BOTTLENECK)
    names = [wire.name for wire in codec.wires]
    expected = {"none": ["t"], "topk": ["t.topk.values", "t.topk.indices"]}.get(name, [f"t.{name}"])
    assert names == expected


@pytest.mark.parametrize("name", [name for name in CODECS if name not in ("none", "bits", "byte")])
@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype != "float32"])
def test_only_float32_is_coded_with_loss(name: CodecName, dtype: str) -> None:
    spec = tensor(3, 7, dtype=dtype)
    assert is_applicable(name, spec, None)
    assert codec_for(name, spec, None).wires == (spec,)
    with pytest.raises(InvalidArgumentError, match=f"codec {name} does not code {dtype} .*; codec none sends it"):
        TensorCodec(name, spec, None, BOTTLENECK)


@pytest.mark.parametrize("name", ["u4", "topk", "bits", "bottleneck"])
@pytest.mark.parametrize("shape", [(3, BATCH, 7), (BATCH, 0)])
def test_what_is_packed_by_the_sample_needs_samples_as_rows(name: CodecName, shape: tuple[int | str, ...]) -> None:
    spec = TensorSpec("t", "float32", shape)
    assert codec_for(name, spec, seen(tensor(1), 0.0), BOTTLENECK).name == "none"


@pytest.mark.parametrize("name", ["u8c", "u4"])
def test_what_has_no_channels_has_no_scale_for_each(name: CodecName) -> None:
    spec = TensorSpec("t", "float32", (BATCH,))
    assert codec_for(name, spec, seen(spec, 1.0)).name == "none"


HALVES, NEGATIVE = seen(T, 0.0, 0.5), seen(T, -1.0, 1.0)
UNIT, BYTES, WIDE = seen(T, 0.0, 1.0), seen(T, 0.0, 255.0), seen(T, 0.0, 256.0)
NOT_FINITE = seen(T, np.nan, np.inf)
NEEDS_RANGE = "needs its range; give --calibration data"
NEEDS_VALUES = "needs to know its values; give --calibration data"


@pytest.mark.parametrize(
    ("name", "statistics", "bottleneck", "reason"),
    [
        ("none", None, None, None),
        ("none", seen(T, -1e30, 1e30), None, None),
        ("f16", None, None, None),
        ("f16", NOT_FINITE, None, None),
        ("f16", seen(T, -65504.0, 65504.0), None, None),
        ("f16", seen(T, -1.0, 65505.0), None, "holds up to 65504, and values lie between -1 and 65505"),
        ("f16", seen(T, -70000.0, -1.0), None, "holds up to 65504"),
        ("topk", None, None, None),
        ("topk", seen(T, -70000.0, -1.0), None, "holds up to 65504"),
        ("u8", None, None, NEEDS_RANGE),
        ("u8c", None, None, NEEDS_RANGE),
        ("u4", None, None, NEEDS_RANGE),
        ("u8", NOT_FINITE, None, "held no finite value"),
        ("u8", NEGATIVE, None, None),
        ("u8c", NEGATIVE, None, None),
        ("u4", NEGATIVE, None, None),
        ("bits", None, None, NEEDS_VALUES),
        ("bits", UNIT, None, None),
        ("bits", HALVES, None, "carries integers 0 to 1, and calibration data held others"),
        ("bits", BYTES, None, "integers 0 to 1"),
        ("bits", NEGATIVE, None, "integers 0 to 1"),
        ("bits", NOT_FINITE, None, "integers 0 to 1"),
        ("byte", None, None, NEEDS_VALUES),
        ("byte", UNIT, None, None),
        ("byte", BYTES, None, None),
        ("byte", HALVES, None, "carries integers 0 to 255"),
        ("byte", WIDE, None, "integers 0 to 255"),
        ("bottleneck", BYTES, None, "needs a bottleneck learned for it"),
        ("bottleneck", None, BOTTLENECK, None),
    ],
)
def test_what_is_known_of_a_tensor_decides_what_can_carry_it(
    name: CodecName, statistics: ValueStatistics | None, bottleneck: Bottleneck | None, reason: str | None
) -> None:
    assert is_applicable(name, T, statistics, bottleneck) == (reason is None)
    if reason is None:
        assert codec_for(name, T, statistics, bottleneck).name == name
        return
    with pytest.raises(InvalidArgumentError, match=f"tensor 't': codec {name} .*{reason}"):
        codec_for(name, T, statistics, bottleneck)


def test_a_bool_is_known_to_be_a_bit() -> None:
    assert codec_for("bits", tensor(3, dtype="bool"), None).nbytes == 1


def test_only_the_bottleneck_holds_one() -> None:
    assert codec_for("f16", T, None, BOTTLENECK).bottleneck is None
    assert codec_for("bottleneck", T, None, BOTTLENECK).bottleneck is BOTTLENECK


@pytest.mark.parametrize(
    ("name", "nbytes"),
    [("none", 802_816), ("f16", 401_408), ("u8", 200_704), ("u4", 100_352), ("bits", 25_088), ("topk", 75_264)],
)
def test_bytes_of_a_sample_on_the_link(name: CodecName, nbytes: int) -> None:
    spec = tensor(64, 56, 56)
    assert codec_for(name, spec, seen(spec, 0.0, 1.0)).nbytes == nbytes
