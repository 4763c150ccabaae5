"""Parameters as one vector: the order, the round trip, and what changes the digest."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError
from splitnet.learn.vector import flatten, model_digest, size, unflatten
from splitnet.package import StepEntry, TensorEntry, TrainingEntry

SHAPES = st.lists(st.lists(st.integers(0, 4), max_size=3).map(tuple), min_size=1, max_size=5)


def entries_of(shapes: list[tuple[int, ...]]) -> tuple[TensorEntry, ...]:
    return tuple(TensorEntry(name=f"p{index}", dtype="float32", shape=shape) for index, shape in enumerate(shapes))


W, B = TensorEntry(name="w", dtype="float32", shape=(2, 3)), TensorEntry(name="b", dtype="float32", shape=(3,))
TRAINING = TrainingEntry(
    segment="device",
    scope="exits",
    output="scores",
    scores="logits",
    classes=3,
    inputs=(TensorEntry(name="x", dtype="float32", shape=("batch", 2)),),
    parameters=(W, B),
    steps=(StepEntry(optimiser="sgd", file="train/sgd.onnx", sha256="0" * 64, size_bytes=1, state=()),),
)


@given(shapes=SHAPES, seed=st.integers(0, 99))
def test_a_vector_comes_back_as_the_tensors(shapes: list[tuple[int, ...]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    entries = entries_of(shapes)
    tensors = {e.name: rng.standard_normal(s).astype(np.float32) for e, s in zip(entries, shapes, strict=True)}
    vector = flatten(entries, tensors | {"other": np.zeros(2)})
    assert vector.shape == (size(entries),)
    back = unflatten(entries, vector)
    assert back.keys() == tensors.keys()
    assert all(np.array_equal(back[name], tensors[name]) for name in tensors)


def test_tensors_follow_each_other_in_c_order() -> None:
    w = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    vector = flatten((W, B), {"b": np.full(3, 9, np.float32), "w": w})
    assert vector.tolist() == [0, 1, 2, 3, 4, 5, 9, 9, 9]


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"w": np.zeros((2, 3), np.float32)}, r"no values for \['b'\]"),
        ({"w": np.zeros((3, 2), np.float32), "b": np.zeros(3, np.float32)}, r"'w': expected shape \[2, 3\]"),
        ({"w": np.zeros((2, 3)), "b": np.zeros(3, np.float32)}, "'w': expected float32, got float64"),
    ],
)
def test_other_tensors_are_refused(tensors: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        flatten((W, B), tensors)


@pytest.mark.parametrize("vector", [np.zeros(8, np.float32), np.zeros(9), np.zeros((3, 3), np.float32)])
def test_other_vectors_are_refused(vector: np.ndarray) -> None:
    for call in (lambda: unflatten((W, B), vector), lambda: model_digest(TRAINING, vector)):
        with pytest.raises(InvalidArgumentError, match=r"parameters: expected float32 \[9\], got"):
            call()


@pytest.mark.parametrize("entry", [TensorEntry(name="n", dtype="int64", shape=(2,)), TRAINING.inputs[0]])
def test_what_is_no_parameter_is_refused(entry: TensorEntry) -> None:
    with pytest.raises(InvalidArgumentError, match="is no parameter"):
        size((W, entry))


def test_the_digest_is_of_the_entry_and_the_values() -> None:
    vector = np.arange(9, dtype=np.float32)
    digest = model_digest(TRAINING, vector)
    text = json.dumps(TRAINING.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
    assert digest == hashlib.sha256(text.encode() + vector.tobytes()).digest()
    other_step = TRAINING.steps[0].model_copy(update={"sha256": "1" * 64})
    changed = [
        model_digest(TRAINING, np.nextafter(vector, np.float32(99))),
        model_digest(TRAINING.model_copy(update={"steps": (other_step,)}), vector),
        model_digest(TRAINING.model_copy(update={"scores": "probabilities"}), vector),
    ]
    assert len({digest, *changed}) == 4
