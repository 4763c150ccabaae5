"""Profiles of small models by the real onnxruntime."""

import json
import tempfile
from pathlib import Path

import pytest

from splitnet.cost import NodeTensors, Profile, median_ms, profile_model
from splitnet.cost.kernels import read_runs
from splitnet.cost.profile import _scaled
from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.onnx_session import OnnxSession
from tests.cost.models import branching, convolutions, feeds, image, perceptron, places, swish

SECONDS = 0.05
PERCEPTRON = ("mm", "add", "relu", "same", "exp")


def profiled(model: bytes) -> Profile:
    return profile_model(model, feeds(256), nodes=places(model), seconds=SECONDS)


def check(profile: Profile) -> None:
    """What holds of every profile."""
    assert profile.whole_ms > 0
    assert profile.basic_ms >= 0
    assert profile.runs >= 3
    assert all(ms >= 0 for ms in profile.node_ms.values())
    assert sum(profile.node_ms.values()) == pytest.approx(profile.whole_ms, rel=1e-6)


def test_the_nodes_share_the_whole() -> None:
    profile = profiled(perceptron())
    check(profile)
    assert tuple(profile.node_ms) == PERCEPTRON
    assert profile.node_ms["exp"] > 0
    assert profile.node_ms["mm"] > 0  # a Gemm ran in its place, and in that of Add
    assert profile.node_ms["add"] == profile.node_ms["same"] == 0.0


def test_nodes_in_the_place_of_a_function_count_for_it() -> None:
    profile = profiled(swish())
    check(profile)
    assert tuple(profile.node_ms) == ("relu", "hardswish", "exp")
    assert profile.node_ms["hardswish"] > 0


def test_a_kernel_that_is_called_after_its_tensor_is_divided_among_those_fused_into_it() -> None:
    model = convolutions()
    profile = profile_model(model, image(), nodes=places(model), seconds=SECONDS)
    check(profile)
    # In one kernel or two, a convolution is most of it.
    assert profile.node_ms["conv1"] > profile.node_ms["relu1"]
    assert profile.node_ms["conv2"] > profile.node_ms["relu2"]


def test_nodes_too_quick_for_the_clock_share_equally() -> None:
    assert _scaled({"a": 0.0, "b": 0.0}, 3.0) == {"a": 1.5, "b": 1.5}
    assert _scaled({"a": 0.0, "b": 2.0}, 3.0) == {"a": 0.0, "b": 3.0}


def test_a_model_of_nothing_but_renamed_nodes_still_adds_up() -> None:
    unheard = {"unheard": NodeTensors((), ("u",)), "of": NodeTensors(("u",), ())}
    profile = profile_model(swish(), feeds(256), nodes=unheard, seconds=SECONDS)
    check(profile)
    assert set(profile.node_ms) == {"unheard", "of"}


@pytest.mark.parametrize(
    "odd",
    ['qu"ote', "back\\slash", "new\nline", "ünï/코드\t", "_kernel_time", '","cat" : "Node', "\u2028", "\x01"],
)
def test_odd_names_survive(odd: str) -> None:
    profile = profiled(perceptron(("mm", "add", odd, "same", "exp")))
    check(profile)
    assert odd in profile.node_ms


def test_a_node_with_a_body_is_counted_once() -> None:
    profile = profiled(branching())
    check(profile)
    assert set(profile.node_ms) == {"sum", "greater", "if", "exp"}
    assert profile.node_ms["if"] > 0


def test_a_file_is_profiled_like_bytes(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(perceptron())
    profile = profile_model(path, feeds(), nodes=places(perceptron()), seconds=SECONDS)
    check(profile)
    assert tuple(profile.node_ms) == PERCEPTRON


def test_progress_rises_to_one() -> None:
    seen: list[float] = []
    profile_model(perceptron(), feeds(), nodes=places(perceptron()), seconds=SECONDS, on_progress=seen.append)
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[-1] == pytest.approx(1.0)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    profiled(perceptron())
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_cannot_be_loaded() -> None:
    with pytest.raises(ModelError, match="the model: onnxruntime cannot load it"):
        profile_model(b"nothing", feeds(), nodes={})
    with pytest.raises(ModelError, match=r"/no/such\.onnx"):
        profile_model(Path("/no/such.onnx"), feeds(), nodes={})


def test_feeds_that_do_not_fit() -> None:
    with pytest.raises(InvalidArgumentError, match="missing"):
        profile_model(perceptron(), {}, nodes=places(perceptron()))
    wrong = {"x": feeds()["x"].astype("float64")}
    with pytest.raises(InvalidArgumentError, match="do not fit"):
        profile_model(perceptron(), wrong, nodes=places(perceptron()))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_time_that_makes_no_sense(seconds: float) -> None:
    with pytest.raises(InvalidArgumentError, match="seconds"):
        profile_model(perceptron(), feeds(), nodes=places(perceptron()), seconds=seconds)


def test_median_of_a_session() -> None:
    session = OnnxSession(perceptron(), name="the model")
    assert 0 < median_ms(session, feeds(), 0.01) < 10_000
    with pytest.raises(InvalidArgumentError, match="seconds"):
        median_ms(session, feeds(), 0)


def event(cat: str, name: str, start_us: int, length_us: int) -> dict[str, object]:
    return {"cat": cat, "name": name, "ts": start_us, "dur": length_us, "args": {"op_name": "Add"}}


def test_runs_are_told_apart_and_inner_nodes_left_out(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    events = [
        event("Session", "session_initialization", 0, 5),
        event("Node", "a_kernel_time", 10, 4),
        event("Node", "inner_kernel_time", 15, 2),
        event("Node", "inner_kernel_time", 17, 3),
        event("Node", "loop_kernel_time", 14, 7),
        event("Node", "b_fence_before", 21, 1),
        event("Session", "model_run", 9, 20),
        event("Node", "a_kernel_time", 31, 0),
        event("Node", "b_kernel_time", 31, 6),
        event("Session", "model_run", 30, 9),
    ]
    path.write_text(json.dumps(events), encoding="utf-8")
    first, second = read_runs(path)
    assert list(first.items()) == [("a", 4), ("loop", 7)]
    assert second == {"b": 6}  # `a` took less than the clock can tell


@pytest.mark.parametrize("content", ["", "[", '[{"cat": "Node", "name": "a_kernel_time"}]', "3"])
def test_a_damaged_profile_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "profile.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"profile\.json"):
        read_runs(path)
