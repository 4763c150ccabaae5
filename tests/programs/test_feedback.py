"""What a session keeps of its samples, against a real edge and a real cloud; and what a person's labels do."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.errors import ConfigError, InvalidArgumentError, NotFoundError, OperatorError
from splitnet.learn.store import NO_LABEL, SampleStore, StoredSamples
from splitnet_device import Session
from tests.programs.classifier import CLASSES, WholeModel
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import TIMEOUT_S, run

LONG_MS = TIMEOUT_S * 1e3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "samples.store"


Keeping = Callable[..., AbstractContextManager[Session]]


@pytest.fixture
def keeping(service: Service, packages: Packages, path: Path) -> Keeping:
    """Opens sessions that keep samples, and closes them."""

    @contextmanager
    def opened(**options: Any) -> Iterator[Session]:
        settings: dict[str, Any] = {
            "upstream": service.edge.target,
            "deadline_ms": LONG_MS,
            "store": path,
        } | options
        with Session(packages.split, **settings) as session:
            if settings["upstream"] is not None:
                assert session.wait_for_link(TIMEOUT_S)
            yield session

    return opened


def stored(path: Path) -> StoredSamples:
    with SampleStore(path) as store:
        return store.samples()


def test_what_a_deeper_tier_answered_is_kept(keeping: Keeping, path: Path, samples: Samples) -> None:
    with keeping() as session:
        answer = session.infer(samples.x)
        single = session.infer(samples.at("cloud"))
    assert answer.exits == samples.exits
    assert answer.ids == tuple(range(1, 201))
    assert single.ids == (201,)
    forwarded = [index for index, tier in enumerate(samples.exits) if tier != "device"]
    kept = stored(path)
    assert kept.ids.tolist() == [1 + index for index in forwarded] + [201]
    assert np.array_equal(kept.inputs["x"][:-1], samples.x[forwarded])
    assert np.array_equal(kept.inputs["x"][-1:], samples.at("cloud"))
    # The model ends in a softmax: its answers are probabilities already.
    np.testing.assert_allclose(kept.teachers[:-1], samples.y[forwarded], rtol=1e-4, atol=1e-6)
    assert set(kept.labels.tolist()) == {NO_LABEL}


def test_fallbacks_teach_nothing(keeping: Keeping, path: Path, samples: Samples) -> None:
    with keeping(upstream=None) as session:
        answer = session.infer(samples.x)
        assert set(answer.exits) == {"device"}
        assert len(answer.ids) == 200
    assert stored(path).ids.size == 0


def test_without_a_store_there_are_no_ids(packages: Packages, samples: Samples) -> None:
    with Session(packages.split) as session:
        assert session.infer(samples.at("device")).ids == ()
        with pytest.raises(ConfigError, match="feedback: this session keeps no samples; open it with `store`"):
            session.feedback(1, 0)


def test_labels(keeping: Keeping, path: Path, samples: Samples) -> None:
    with keeping() as session:
        (taught,) = session.infer(samples.at("cloud")).ids
        (own,) = session.infer(samples.at("device")).ids
        session.feedback(taught, 1)
        session.feedback(own, 2)
        session.feedback(own, 3)
        kept = stored(path)  # a label is on the disk when `feedback` returns
    assert kept.ids.tolist() == [taught, own]
    assert kept.labels.tolist() == [1, 3]
    assert np.isfinite(kept.teachers[0]).all()
    assert np.isnan(kept.teachers[1]).all()
    assert np.array_equal(kept.inputs["x"][1:], samples.at("device"))


def test_a_sample_is_labelled_in_a_later_session(keeping: Keeping, path: Path, samples: Samples) -> None:
    with keeping() as session:
        (first,) = session.infer(samples.at("cloud")).ids
        (own,) = session.infer(samples.at("device")).ids
    with keeping() as session:
        (second,) = session.infer(samples.at("cloud")).ids
        assert second > own > first
        session.feedback(first, 1)
        with pytest.raises(NotFoundError, match=f"no sample {own}: neither in .* nor among the last 64 samples"):
            session.feedback(own, 1)
    assert stored(path).labels.tolist() == [1, NO_LABEL]


def test_only_the_last_are_remembered(keeping: Keeping, path: Path, samples: Samples) -> None:
    own = samples.at("device", 4)
    with keeping(recent=3) as session:
        ids = session.infer(own).ids
        with pytest.raises(NotFoundError, match="the last 3 samples"):
            session.feedback(ids[0], 1)
        session.feedback(ids[1], 1)
    assert stored(path).ids.tolist() == [ids[1]]
    with keeping(recent=0) as session:
        (forwarded,) = session.infer(samples.at("edge")).ids
        (own_id,) = session.infer(samples.at("device")).ids
        session.feedback(forwarded, 0)
        with pytest.raises(NotFoundError):
            session.feedback(own_id, 0)


@pytest.mark.parametrize("label", [-1, CLASSES, True, 1.0, "1", None])
def test_what_is_no_class_is_no_label(keeping: Keeping, samples: Samples, label: Any) -> None:
    with keeping() as session:
        (sample_id,) = session.infer(samples.at("device")).ids
        with pytest.raises(InvalidArgumentError, match="label: expected"):
            session.feedback(sample_id, label)


def test_the_input_may_be_used_again_after_the_answer(keeping: Keeping, path: Path, samples: Samples) -> None:
    buffer = samples.at("cloud").copy()
    with keeping() as session:
        (sample_id,) = session.infer(buffer).ids
        buffer[:] = 0
        session.feedback(sample_id, 1)
    assert np.array_equal(stored(path).inputs["x"], samples.at("cloud"))


def test_the_store_stays_within_its_limit(keeping: Keeping, path: Path, samples: Samples) -> None:
    with keeping(store_limit_bytes=2**20, store_policy="reservoir") as session:
        session.infer(samples.at("cloud", 20))
    with SampleStore(path) as store:
        status = store.status()
    assert (status.limit_bytes, status.policy, status.samples) == (2**20, "reservoir", 20)


def test_another_models_store_is_refused(
    keeping: Keeping, path: Path, packages: Packages, samples: Samples
) -> None:
    with keeping() as session:
        session.infer(samples.at("cloud"))
    other = path.with_name("other.split")
    shutil.copytree(packages.split, other)
    manifest = other / "manifest.json"
    document = json.loads(manifest.read_text())
    document["model"]["name"] = "other"
    manifest.write_text(json.dumps(document))
    with pytest.raises(ConfigError, match=r"holds samples of model 'classifier' .*, not of model 'other'"):
        Session(other, store=path)


def test_a_file_that_is_no_store(packages: Packages, path: Path) -> None:
    path.write_bytes(b"something else" * 1000)
    with pytest.raises(OperatorError, match="not a sample store"):
        Session(packages.split, store=path)


def test_the_command_keeps_samples(
    service: Service, packages: Packages, path: Path, samples: Samples, whole: WholeModel
) -> None:
    np.savez(path.with_name("in.npz"), x=samples.x[:40])
    answers = path.with_name("out.npz")
    done = run(
        *("device", "--package", str(packages.split), "--upstream", service.edge.target, "--json"),
        *("--input", str(path.with_name("in.npz")), "--output", str(answers), "--store", str(path)),
        *("--deadline-ms", str(LONG_MS)),
    )
    assert done.code == 0
    with np.load(answers) as written:
        ids, exits = written["ids"], written["exits"]
    kept = stored(path)
    assert sorted(kept.ids.tolist()) == sorted(ids[exits != "device"].tolist())
    rows = {sample_id: row for row, sample_id in enumerate(ids.tolist())}
    inputs = samples.x[[rows[sample_id] for sample_id in kept.ids.tolist()]]
    assert np.array_equal(kept.inputs["x"], inputs)
    expected = whole.routed(inputs, packages.manifest).y
    np.testing.assert_allclose(kept.teachers, expected, rtol=1e-4, atol=1e-6)
