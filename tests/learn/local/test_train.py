"""Training on the device: equal to the same in numpy, judged on what was held out, and what is refused."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from splitnet.errors import ConfigError, NotFoundError, PackageError, RefusalError
from splitnet.learn.local import METRICS, LocalJob, train
from splitnet.learn.local.job import MOST_LOSS
from splitnet.learn.local.train import _clipped
from splitnet.learn.store import Limits, Sample, SampleKeeper
from splitnet.learn.vector import unflatten
from splitnet.tensors import Array
from tests.learn.local.conftest import Shelf, Trainable, fill
from tests.programs.classifier import CLASSES

Floats = NDArray[np.float64]


def features(package: Trainable, x: Array) -> Floats:
    """What the exit's head reads, as onnxruntime makes it."""
    assert package.training.features is not None
    session = ort.InferenceSession(package.path / package.training.features.file)
    (values,) = session.run(None, {"x": x})
    return np.asarray(values, np.float64)


def probabilities(at: Floats, weights: Floats) -> Floats:
    logits = at @ weights
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def head(package: Trainable, delta: Array | float = 0.0) -> Floats:
    (values,) = unflatten(package.training.parameters, (package.start + delta).astype(np.float32)).values()
    return values.astype(np.float64)


def targets(shelf: Shelf) -> Floats:
    rows = shelf.teachers.astype(np.float64)
    for index, label in shelf.labels.items():
        rows[index] = np.eye(CLASSES)[label]
    return rows


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_it_is_gradient_descent(exits: Trainable, momentum: float, tmp_path: Path) -> None:
    """One batch holds everything, so the order of samples does not matter: each epoch is one step."""
    shelf = fill(tmp_path / "s", exits.signature, 15, labels={2: 1, 5: 0})
    update = train(
        exits.job(shelf.path, optimiser="sgd", momentum=momentum, learning_rate=0.05, epochs=7, batch=15)
    )
    at, wanted = features(exits, shelf.x), targets(shelf)
    weights, velocity = head(exits), np.zeros_like(head(exits))
    for _ in range(7):
        gradient = at.T @ (probabilities(at, weights) - wanted) / len(at)
        velocity = momentum * velocity + gradient
        weights = weights - 0.05 * velocity
    assert update.samples == 15
    np.testing.assert_allclose(update.delta, (weights - head(exits)).ravel(), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("scope", ["exits", "segment"])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_device_gets_nearer_to_its_teacher(
    trainable: Callable[[str], Trainable], scope: str, optimiser: str, tmp_path: Path
) -> None:
    package = trainable(scope)
    shelf = fill(tmp_path / "s", package.signature, 300)
    update = train(package.job(shelf.path, optimiser=optimiser, learning_rate=0.01, epochs=20))
    metrics = update.metrics
    assert update.delta.shape == package.start.shape
    assert metrics["loss_sum_after"] < 0.7 * metrics["loss_sum_before"]
    assert metrics["right_after"] > metrics["right_before"]


def test_metrics_are_sums_over_the_held_out(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 60, labels={index: index % CLASSES for index in range(0, 60, 3)})
    update = train(exits.job(shelf.path, learning_rate=0.01, seed=3))
    counted = update.metrics["counted"]
    assert update.metrics.keys() == METRICS.keys()
    assert 5 <= counted <= 22
    assert update.samples == 60 - counted
    held = held_out(exits, shelf, seed=3)
    assert len(held) == counted
    at, wanted = features(exits, shelf.x)[held], targets(shelf)[held]
    for moment, delta in (("before", 0.0), ("after", update.delta)):
        shares = probabilities(at, head(exits, delta))
        loss = -(wanted * np.log(np.maximum(shares, 1e-30))).sum()
        right = (shares.argmax(axis=1) == wanted.argmax(axis=1)).sum()
        leaving = (shares.max(axis=1).astype(np.float32) >= np.float32(exits.threshold)).sum()
        assert update.metrics[f"loss_sum_{moment}"] == pytest.approx(loss, rel=1e-4)
        assert update.metrics[f"right_{moment}"] == right
        assert update.metrics[f"leaving_{moment}"] == leaving


def held_out(package: Trainable, shelf: Shelf, *, seed: int) -> list[int]:
    """Find the samples that training leaves alone: those that its delta tells nothing of.

    After one step of plain gradient descent from zeros, the delta is a sum over the samples trained on. Each one's
    part is known, and none is small, since zeros answer all classes alike; least squares tells whose are in it.
    """
    start = np.zeros_like(package.start)
    job = package.job(
        shelf.path, optimiser="sgd", momentum=0.0, learning_rate=1.0, epochs=1, batch=4096, seed=seed
    )
    update = train(replace(job, parameters=start))
    at, wanted = features(package, shelf.x), targets(shelf)
    parts = np.einsum("ni,nj->nij", at, 1 / CLASSES - wanted).reshape(len(at), -1)
    inside = np.linalg.lstsq(parts.T, -update.delta.astype(np.float64) * update.samples, rcond=None)[0]
    assert np.allclose(inside, np.rint(inside), atol=0.05)
    return np.flatnonzero(inside < 0.5).tolist()


def test_the_same_are_held_out_in_every_round(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 40)
    held = held_out(exits, shelf, seed=3)
    assert 1 <= len(held) <= 20
    assert held != held_out(exits, shelf, seed=4)
    more = fill(tmp_path / "more", exits.signature, 60)
    assert np.array_equal(more.x[:40], shelf.x)
    assert [index for index in held_out(exits, more, seed=3) if index < 40] == held


def test_with_few_samples_all_are_trained_on_and_judged(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 19)
    update = train(exits.job(shelf.path))
    assert (update.samples, update.metrics["counted"]) == (19, 19)


def test_training_is_repeatable_and_rounds_differ(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 60)
    job = exits.job(shelf.path, batch=8)
    first, again, later = train(job), train(job), train(replace(job, round=1))
    assert np.array_equal(first.delta, again.delta)
    assert first.metrics == again.metrics
    assert not np.array_equal(first.delta, later.delta)
    assert first.samples == later.samples


def test_a_proximal_term_holds_back(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 60)
    free, held = (
        train(exits.job(shelf.path, optimiser="sgd", learning_rate=0.05, epochs=20, proximal=proximal)).delta
        for proximal in (0.0, 1.0)
    )
    assert np.linalg.norm(held) < 0.8 * np.linalg.norm(free)


def test_most_samples(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 120)
    update = train(exits.job(shelf.path, most_samples=40))
    assert update.samples + update.metrics["counted"] == 40


@given(
    values=st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=30),
    clip=st.floats(1e-42, 1e6),
    scale=st.floats(0, 1),
)
@settings(max_examples=300)
def test_no_update_is_longer_than_the_clip(values: list[float], clip: float, scale: float) -> None:
    delta = np.array(values) * scale
    clipped = _clipped(delta, clip)
    assert clipped.dtype == np.float32
    assert np.sqrt(np.square(clipped, dtype=np.float64).sum()) <= clip
    norm = np.sqrt(delta @ delta)
    expected = delta * (clip / norm) if norm > clip else delta
    np.testing.assert_allclose(clipped, expected, rtol=1e-5, atol=1e-43)


def test_the_update_is_clipped_and_judged_as_it_is_sent(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 60)
    job = exits.job(shelf.path, learning_rate=0.05)
    free, clipped = train(job), train(replace(job, clip=1e-3))
    assert np.linalg.norm(free.delta) > 1e-2
    assert np.linalg.norm(clipped.delta.astype(np.float64)) == pytest.approx(1e-3, rel=1e-6)
    np.testing.assert_allclose(
        clipped.delta * (np.linalg.norm(free.delta) / 1e-3), free.delta, rtol=1e-3, atol=1e-6
    )
    before, after = (clipped.metrics[f"loss_sum_{moment}"] for moment in ("before", "after"))
    assert after == pytest.approx(before, rel=1e-2)
    assert free.metrics["loss_sum_after"] < 0.9 * before


def test_samples_with_nan_are_left_out(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 30)
    broken = np.full((3, 12), np.nan, np.float32)
    broken[1] = np.inf
    broken[2] = 0
    nothing = np.full(CLASSES, np.nan, np.float32)
    with SampleKeeper(shelf.path, exits.signature, Limits(2**24)) as store:
        for row in range(2):
            store.add(
                [Sample(100 + row, exits.signature.pack({"x": broken}, row), shelf.teachers[0], "edge", None, 0)]
            )
        store.add([Sample(102, exits.signature.pack({"x": broken}, 2), nothing, "edge", None, 0)])
    with_broken = train(exits.job(shelf.path, seed=1))
    assert with_broken.skipped == 3
    clean = train(exits.job(fill(tmp_path / "clean", exits.signature, 30).path, seed=1))
    assert np.array_equal(with_broken.delta, clean.delta)


def test_a_loss_that_is_out_of_bounds_counts_as_the_bound(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 10, labels=dict.fromkeys(range(10), 3))
    wild = exits.start * np.float32(1e4)
    update = train(exits.job(shelf.path, parameters=wild, learning_rate=1e-6))
    wrong = update.metrics["counted"] - update.metrics["right_before"]
    assert wrong > 0
    assert update.metrics["loss_sum_before"] == pytest.approx(wrong * MOST_LOSS, rel=1e-3)


def refused(job: LocalJob) -> RefusalError:
    with pytest.raises(RefusalError) as caught:
        train(job)
    return caught.value


def test_what_is_not_finite_is_refused(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 30)
    for value in (np.nan, np.inf):
        start = exits.start.copy()
        start[-1] = value
        error = refused(exits.job(shelf.path, parameters=start))
        assert (error.reason, str(error)[:18]) == ("not-finite", "global parameters:")
    state = tmp_path / "state"
    state.mkdir()
    error = refused(exits.job(shelf.path, optimiser="sgd", learning_rate=1e38, epochs=50, state=state))
    assert error.reason == "not-finite"
    assert "lower learning_rate" in str(error)
    assert not list(state.iterdir())


@pytest.mark.parametrize("change", [lambda v: v[:-1], lambda v: v.astype(np.float64), lambda v: v[None]])
def test_parameters_of_another_model_are_refused(exits: Trainable, change: Any, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 30)
    error = refused(exits.job(shelf.path, parameters=change(exits.start)))
    assert error.reason == "another-model"
    assert "has float32 [192], got" in str(error)


def test_too_few_samples(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 7)
    with pytest.raises(NotFoundError, match=r"7 samples to learn from .* asks for at least 8"):
        train(exits.job(shelf.path))
    assert train(exits.job(shelf.path, least_samples=7)).samples == 7
    with SampleKeeper(tmp_path / "empty", exits.signature, Limits(2**20)) as empty:
        path = empty.path
    with pytest.raises(NotFoundError, match="0 samples to learn from"):
        train(exits.job(path))
    with pytest.raises(NotFoundError, match="no sample store"):
        train(exits.job(tmp_path / "none"))


def test_another_models_samples(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", replace(exits.signature, model="other"), 30)
    with pytest.raises(ConfigError, match=r"holds samples of model 'other' .* is of model 'classifier'"):
        train(exits.job(shelf.path))


@pytest.fixture
def copy(exits: Trainable, tmp_path: Path) -> Path:
    """A package to alter."""
    path = tmp_path / "copy.split"
    shutil.copytree(exits.path, path)
    return path


def test_a_package_that_does_not_learn(exits: Trainable, copy: Path, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 30)
    manifest = json.loads((copy / "manifest.json").read_text()) | {"training": []}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ConfigError, match="nothing in it is trainable; make it with `splitnet partition --trainable"
    ):
        train(exits.job(shelf.path, package=copy))


def test_an_optimiser_without_a_step(exits: Trainable, copy: Path, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 30)
    manifest = json.loads((copy / "manifest.json").read_text())
    steps = manifest["training"][0]["steps"]
    manifest["training"][0]["steps"] = [step for step in steps if step["optimiser"] == "sgd"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(PackageError, match=r"no step of 'adam', only of \['sgd'\]"):
        train(exits.job(shelf.path, package=copy))


def test_an_altered_step_is_not_run(exits: Trainable, copy: Path, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 30)
    file = copy / "train/adam.onnx"
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(content)
    with pytest.raises(PackageError, match=r"adam\.onnx: SHA-256"):
        train(exits.job(shelf.path, package=copy))


def test_the_optimisers_state_lasts(exits: Trainable, tmp_path: Path) -> None:
    """Two rounds of one epoch are one round of two, where the state is kept, and only then."""
    shelf, state = fill(tmp_path / "s", exits.signature, 15), tmp_path / "state"
    state.mkdir()
    job = exits.job(shelf.path, batch=15, learning_rate=0.01, epochs=1)
    both = train(replace(job, settings=job.settings.model_copy(update={"epochs": 2}))).delta
    for kept, same in ((state, True), (None, False)):
        first = train(replace(job, state=kept)).delta
        second = train(replace(job, state=kept, parameters=exits.start + first)).delta
        assert np.allclose(first + second, both, rtol=1e-3, atol=1e-6) == same
    (file,) = state.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", [b"", b"xyz", b"\x02\x00\x00\x00{}", b"\x02\x00\x00\x00[]1234"])
def test_a_damaged_state_starts_anew(
    exits: Trainable, content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 15)
    job = exits.job(shelf.path)
    fresh = train(job).delta
    (tmp_path / "optimiser.state").write_bytes(content)
    assert np.array_equal(train(replace(job, state=tmp_path)).delta, fresh)
    # A frame that is whole, but of another step, is simply another's.
    assert bool(caplog.records) == (content != b"\x02\x00\x00\x00{}")
    assert not np.array_equal(train(replace(job, state=tmp_path)).delta, fresh)


def test_another_optimisers_state_is_left_alone(exits: Trainable, tmp_path: Path) -> None:
    shelf = fill(tmp_path / "s", exits.signature, 15)
    sgd = exits.job(shelf.path, optimiser="sgd")
    fresh = train(sgd).delta
    train(exits.job(shelf.path, state=tmp_path))
    assert np.array_equal(train(replace(sgd, state=tmp_path)).delta, fresh)
