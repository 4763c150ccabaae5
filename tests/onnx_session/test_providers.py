"""Execution providers by their short names."""

import numpy as np
import onnxruntime as ort
import pytest

from splitnet.errors import ConfigError
from splitnet.onnx_session import OnnxSession, available_providers, check_provider
from splitnet.onnx_session.providers import onnxruntime_names
from splitnet.runtime import Segment
from tests.runtime.segments import BYTES


def test_the_cpu_is_there_and_comes_first() -> None:
    assert available_providers()[0] == "cpu"
    assert len(available_providers()) == len(ort.get_available_providers())
    check_provider("cpu")
    assert onnxruntime_names("cpu") == ["CPUExecutionProvider"]


def test_short_names_stand_for_all_that_onnxruntime_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime that has everything: no such build exists, so its list is put in place."""
    known = ort.get_all_providers()
    monkeypatch.setattr(ort, "get_available_providers", lambda: known)
    names = available_providers()
    assert len(set(names)) == len(known)
    assert {"cuda", "tensorrt", "openvino", "coreml", "nnapi", "qnn", "acl", "cann", "migraphx"} <= set(names)
    assert {"directml", "xnnpack"} <= set(names)
    for name in names:
        own, *behind = onnxruntime_names(name)
        assert own in known
        assert behind == ([] if name == "cpu" else ["CPUExecutionProvider"])
    assert onnxruntime_names("directml")[0] == "DmlExecutionProvider"


@pytest.mark.parametrize(
    ("provider", "text"),
    [("warp", "unknown"), ("CPUExecutionProvider", "unknown"), ("", "unknown"), ("CPU", "unknown")],
)
def test_an_unknown_provider_is_refused_with_what_there_is(provider: str, text: str) -> None:
    with pytest.raises(ConfigError, match=f"provider '{provider}': {text}; .* has cpu"):
        check_provider(provider)
    with pytest.raises(ConfigError, match="has cpu"):
        Segment(BYTES["device"], name="device", provider=provider)


def test_a_provider_of_another_build_is_told_from_an_unknown_one() -> None:
    elsewhere = set(ort.get_all_providers()) - set(ort.get_available_providers())
    if "CoreMLExecutionProvider" not in elsewhere:
        pytest.skip("this onnxruntime has CoreML")
    with pytest.raises(ConfigError, match="provider 'coreml': this build of onnxruntime does not have it"):
        check_provider("coreml")


@pytest.mark.parametrize("provider", available_providers())
def test_a_session_computes_with_each_that_is_there(provider: str) -> None:
    x = np.ones((2, 4), np.float32)
    made = OnnxSession(BYTES["device"], name="device", provider=provider).run({"x": x})
    assert np.array_equal(made["t"], 2 * x)
