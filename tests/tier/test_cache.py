"""The latest answers are given again to the same question, bit for bit, and to no other; and they are bounded."""

from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from splitnet.config import CacheConfig
from splitnet.protocol import InferRequest, InferResponse, Parameter
from splitnet.tensors import Array
from splitnet.tier import AnswerCache, KeptResponses, Question

#: Larger than a fingerprint looks at, so that two contents of the same one exist.
LARGE = 4096

arrays = npst.arrays(
    st.sampled_from(["uint8", "float32", "int64", "bool"]), npst.array_shapes(min_dims=0, max_dims=3, max_side=4)
)


def question(number: int, size: int = 8) -> Question:
    return Question(("model", "1"), {"x": np.full(size, number, np.uint8)})


@given(st.dictionaries(st.sampled_from("ab"), arrays, min_size=1), st.data())
def test_a_question_is_the_same_for_the_same_bits(tensors: dict[str, Array], data: st.DataObject) -> None:
    cache: AnswerCache[str] = AnswerCache(CacheConfig())
    asked = Question(("m",), tensors)
    cache.keep(asked, "answer", 1)
    again = {name: np.array(array) for name, array in reversed(tensors.items())}
    assert cache.find(Question(("m",), again)) == "answer"
    assert cache.find(Question(("n",), again)) is None
    name = data.draw(st.sampled_from(sorted(tensors)))
    other = data.draw(arrays)
    same = other.tobytes() == again[name].tobytes() and (other.dtype, other.shape) == (
        again[name].dtype,
        again[name].shape,
    )
    assert (cache.find(Question(("m",), again | {name: other})) == "answer") == same


@given(st.integers(0, LARGE - 1), st.integers(1, 255))
def test_one_byte_makes_another_question(at: int, change: int) -> None:
    cache: AnswerCache[str] = AnswerCache(CacheConfig())
    content = np.random.default_rng(at).integers(0, 256, LARGE, dtype=np.uint8)
    cache.keep(Question(("m",), {"x": content}), "answer", 1)
    changed = content.copy()
    changed[at] ^= change
    assert cache.find(Question(("m",), {"x": changed})) is None
    assert cache.find(Question(("m",), {"x": content.copy()})) == "answer"


def test_numbers_that_compare_oddly_are_compared_by_their_bits() -> None:
    cache: AnswerCache[str] = AnswerCache(CacheConfig())
    cache.keep(Question((), {"x": np.array([np.nan, 0.0], np.float32)}), "answer", 1)
    assert cache.find(Question((), {"x": np.array([np.nan, 0.0], np.float32)})) == "answer"
    assert cache.find(Question((), {"x": np.array([np.nan, -0.0], np.float32)})) is None


steps = st.lists(st.tuples(st.sampled_from(["find", "keep"]), st.integers(0, 12)), max_size=60)


@given(steps, st.integers(1, 5), st.integers(20, 200))
def test_it_holds_what_was_used_last_within_both_bounds(
    steps: list[tuple[str, int]], entries: int, max_bytes: int
) -> None:
    cache: AnswerCache[int] = AnswerCache(CacheConfig(entries=entries, max_bytes=max_bytes))
    model: OrderedDict[int, int] = OrderedDict()
    for step, number in steps:
        asked = question(number, size=8 + number)
        if step == "find":
            assert cache.find(asked) == (number if number in model else None)
            if number in model:
                model.move_to_end(number)
        elif (size := asked.size_bytes + 10) <= max_bytes:
            cache.keep(asked, number, 10)
            model.pop(number, None)
            model[number] = size
            while len(model) > entries or sum(model.values()) > max_bytes:
                model.popitem(last=False)
        assert len(cache) == len(model)
        assert cache.size_bytes == sum(model.values()) <= max_bytes


@pytest.mark.parametrize("config", [CacheConfig(entries=0), CacheConfig(max_bytes=0), CacheConfig(max_bytes=9)])
def test_what_may_not_be_kept_is_not(config: CacheConfig) -> None:
    cache: AnswerCache[str] = AnswerCache(config)
    cache.keep(question(1), "answer", 2)
    assert cache.find(question(1)) is None
    assert (len(cache), cache.size_bytes) == (0, 0)


def request(model_name: str = "m.edge", **fields: Any) -> InferRequest:
    return InferRequest(model_name, {"x": np.zeros((1, 4), np.uint8)}, **fields)


def response(**parameters: Parameter) -> InferResponse:
    said = parameters or {"splitnet_exit": "cloud", "splitnet_cloud_ms": 3.5}
    return InferResponse("m.edge", {"y": np.ones((1, 2), np.float32)}, "1", "a", said)


def test_a_kept_response_has_the_new_id_and_says_who_answered_but_no_times() -> None:
    kept = KeptResponses(CacheConfig())
    kept.keep(request(id="a"), "plan", response())
    found = kept.find(request(id="b"), "1", "plan")
    assert found is not None
    assert (found.id, found.model_version, found.parameters) == (
        "b",
        "1",
        {"splitnet_exit": "cloud", "splitnet_kept": True},
    )
    np.testing.assert_array_equal(found.tensors["y"], np.ones((1, 2), np.float32))


@pytest.mark.parametrize(
    ("asked", "version", "plan"),
    [
        (request(), "2", "plan"),
        (request(), "1", "other"),
        (request(model_name="m"), "1", "plan"),
        (request(requested_outputs=("y",)), "1", "plan"),
        (request(tensor_parameters={"x": {"splitnet_coding": "zstd"}}), "1", "plan"),
    ],
)
def test_another_version_plan_model_output_or_coding_is_another_question(
    asked: InferRequest, version: str, plan: str
) -> None:
    kept = KeptResponses(CacheConfig())
    kept.keep(request(), "plan", response())
    assert kept.find(asked, version, plan) is None
    assert kept.find(request(), "1", "plan") is not None


def test_a_fallback_is_never_kept() -> None:
    kept = KeptResponses(CacheConfig())
    kept.keep(request(), "plan", response(splitnet_exit="edge", splitnet_fallback="UNAVAILABLE"))
    assert kept.find(request(), "1", "plan") is None
