"""Segment and Stage: onnxruntime's answers by name, its errors as ours, and the routing rule."""

import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.exits import leaves
from splitnet.runtime import Exit, Segment, Stage
from tests.runtime.segments import BYTES, DEVICE_EXIT, T, X, stage, whole

ROWS = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_outputs_come_by_name_and_other_tensors_are_ignored() -> None:
    made = Segment(BYTES["device"], name="device").run({"x": ROWS, "more": ROWS})
    assert set(made) == {"t", "a", "y_1", "a_1", "sure_1"}
    assert np.array_equal(made["a"], whole(ROWS)["a"])


def test_what_is_no_model_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="segment 'lost': onnxruntime cannot load it"):
        Segment(b"no model", name="lost")


@pytest.mark.parametrize(
    "tensors", [{}, {"t": ROWS}, {"x": ROWS[:, :3]}, {"x": ROWS.astype(np.float64)}, {"x": ROWS[0]}]
)
def test_tensors_that_do_not_fit_are_the_callers_mistake_and_stay_discreet(
    tensors: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Segment(BYTES["device"], name="device").run(tensors)
    assert str(caught.value) == "the model cannot compute on these values"
    assert "segment 'device'" in caplog.text


def slow() -> bytes:
    """A few milliseconds of matrix products."""
    nodes = [helper.make_node("MatMul", [f"x{i}" if i else "x", "w"], [f"x{i + 1}"]) for i in range(8)]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [256, 256]) for name in ("x", "x8")]
    weight = numpy_helper.from_array(np.eye(256, dtype=np.float32), "w")
    graph = helper.make_graph(nodes, "slow", infos[:1], infos[1:], [weight])
    content: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return content


def test_an_emulated_machine_takes_its_time_and_answers_the_same() -> None:
    x = np.ones((256, 256), np.float32)
    segment = Segment(slow(), name="slow", emulated_speed=0.1)
    cpu_s, start_s = time.thread_time(), time.perf_counter()
    made = segment.run({"x": x})
    cpu_s, wall_s = time.thread_time() - cpu_s, time.perf_counter() - start_s
    # Of the CPU time measured here a little is spent outside of the segment.
    assert wall_s >= 8 * cpu_s
    assert np.array_equal(made["x8"], x)


FLOATS = st.floats(width=32) | st.sampled_from([0.5, np.nextafter(np.float32(0.5), np.float32(0))])


@given(st.lists(FLOATS, min_size=1, max_size=8), st.floats(-2, 2), st.booleans())
def test_who_leaves(confidence: Sequence[float], threshold: float, column: bool) -> None:  # noqa: FBT001
    array = np.array(confidence, np.float32).reshape((-1, 1) if column else (-1,))
    limit = np.float32(threshold)
    assert leaves(array, threshold).tolist() == [bool(np.float32(value) >= limit) for value in confidence]


def test_nan_never_leaves() -> None:
    assert leaves(np.array([np.nan, np.inf, -np.inf], np.float32), -1e30).tolist() == [False, True, False]


def test_a_stage_applies_its_exit() -> None:
    x = np.zeros((4, 4), np.float32)
    x[:, 0] = [0.5, 0.49, np.nan, 0.9]
    result = stage("device").run({"x": x})
    assert result.leaving is not None
    assert result.leaving.tolist() == [True, False, False, True]
    assert result.exit_outputs is not None
    assert set(result.exit_outputs) == set(DEVICE_EXIT.outputs)
    assert np.array_equal(result.exit_outputs["y"], x + np.float32(10), equal_nan=True)
    assert {"x", "t", "a"} <= result.values.keys()


def test_a_stage_without_an_exit_keeps_every_sample() -> None:
    result = stage("device", exits=False).run({"x": ROWS})
    assert result.leaving is None
    assert result.exit_outputs is None


def test_a_stage_without_a_segment_relays() -> None:
    result = Stage("edge", None, None, (X,), (X,), ()).run({"x": ROWS})
    assert result.values == {"x": ROWS}
    assert result.leaving is None


def test_an_exit_answers_under_the_models_names() -> None:
    values = {"head": ROWS, "sure": ROWS[:, 0]}
    assert Exit({"y": "head"}, "sure", 0.5).answers(values) == {"y": ROWS}
    assert T.name not in values
