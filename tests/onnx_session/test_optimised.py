"""Models kept as optimised: opened from there, to the bit the same, and never trusted when damaged."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from splitnet.errors import ModelError
from splitnet.onnx_session import LinkedModel, OnnxSession, OptimisedFile
from splitnet.samples import read_samples
from splitnet.tensors import Tensors, TensorSpec
from tests.runtime.segments import BYTES

EXAMPLE = Path(__file__).parents[2] / "examples" / "pcb_inspection"
MODEL = (EXAMPLE / "model.onnx").read_bytes()


@pytest.fixture
def place(tmp_path: Path) -> OptimisedFile:
    return OptimisedFile(tmp_path / "kept", hashlib.sha256(MODEL).hexdigest())


def tiles() -> Tensors:
    session = ort.InferenceSession(MODEL, providers=["CPUExecutionProvider"])
    (taken,) = session.get_inputs()
    spec = TensorSpec(
        taken.name, taken.type.removeprefix("tensor(").removesuffix(")"), ("batch", *taken.shape[1:])
    )
    return read_samples(EXAMPLE / "tiles" / "test.npz", (spec,)).take(range(5))


def answers(place: OptimisedFile | None) -> Tensors:
    return OnnxSession(MODEL, name="the example", optimised=place).run(tiles())


def same(left: Tensors, right: Tensors) -> bool:
    return left.keys() == right.keys() and all(np.array_equal(left[name], right[name]) for name in left)


def test_a_kept_model_answers_to_the_bit_the_same(place: OptimisedFile) -> None:
    fresh = answers(None)
    assert same(answers(place), fresh)
    kept = place.read()
    assert kept is not None
    assert place.path.stat().st_mode & 0o077 == 0
    assert same(answers(place), fresh)
    assert place.read() == kept


def test_it_is_the_kept_model_that_is_opened(place: OptimisedFile) -> None:
    place.write(BYTES["device"])
    assert OnnxSession(MODEL, name="the example", optimised=place).inputs == ("x",)


@pytest.mark.parametrize(
    "damage",
    [
        lambda kept: kept[: len(kept) // 2],
        lambda kept: kept[:-9] + bytes([kept[-9] ^ 1]) + kept[-8:],
        lambda _kept: b"",
        lambda _kept: b"abc",
    ],
    ids=["cut", "a bit", "empty", "short"],
)
def test_a_damaged_file_is_made_anew(
    damage: Callable[[bytes], bytes], place: OptimisedFile, caplog: pytest.LogCaptureFixture
) -> None:
    fresh = answers(place)
    place.path.write_bytes(damage(place.path.read_bytes()))
    assert place.read() is None
    assert same(answers(place), fresh)
    assert "is damaged" in caplog.text
    assert place.read() is not None


def test_a_file_that_is_no_model_is_made_anew(place: OptimisedFile, caplog: pytest.LogCaptureFixture) -> None:
    place.write(b"whole, but no model")
    assert same(answers(place), answers(None))
    assert "optimised anew" in caplog.text
    assert place.read() != b"whole, but no model"


def test_a_model_that_is_none_keeps_nothing(place: OptimisedFile) -> None:
    with pytest.raises(ModelError, match="cannot load it"):
        OnnxSession(b"no model", name="lost", optimised=place)
    assert place.read() is None


def test_another_model_has_another_file(place: OptimisedFile) -> None:
    assert OptimisedFile(place.folder, "0" * 64).path != place.path


def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    places = [OptimisedFile(tmp_path, f"{number:064x}", limit_bytes=350) for number in range(4)]
    for number, place in enumerate(places[:3]):
        place.write(bytes(100))
        os.utime(place.path, (number, number))
    (tmp_path / "other").write_bytes(bytes(1000))  # not ours, not counted, not removed
    assert places[0].read() is not None  # used: now the newest
    places[3].write(bytes(100))
    assert [place.read() is not None for place in places] == [True, False, True, True]
    assert (tmp_path / "other").exists()
    places[1].write(bytes(400))
    assert places[1].read() is None


def test_a_folder_that_cannot_be_written_is_no_obstacle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    place = OptimisedFile(tmp_path / "file" / "kept", "0" * 64)
    assert same(answers(place), answers(None))
    assert "cannot be kept" in caplog.text


def test_only_models_in_memory_for_the_cpu_at_their_fastest_are_kept(place: OptimisedFile) -> None:
    OnnxSession(EXAMPLE / "model.onnx", name="a path", optimised=place)
    OnnxSession(LinkedModel(MODEL, EXAMPLE), name="linked", optimised=place)
    OnnxSession(MODEL, name="basic", optimisation="basic", optimised=place)
    assert not place.folder.exists()
