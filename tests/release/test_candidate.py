"""A candidate holds the new parameters, else what the running version does; it is judged, and released or not."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from splitnet.codec_names import CodecName
from splitnet.cost import default_site
from splitnet.errors import InvalidArgumentError, PackageError
from splitnet.learn.heads import divide
from splitnet.package import BackupEntry, HeldOutEntry, Package, open_package
from splitnet.partition import PartitionOptions, partition
from splitnet.release.candidate import Candidate, make_candidate
from splitnet.release.evidence import Evidence, read_evidence
from splitnet.release.figures import route
from splitnet.release.rule import Rule
from splitnet.release.stitched import observe
from splitnet.samples import Samples as Data
from splitnet.samples import read_samples
from splitnet.tensors import Array
from splitnet_device import Session
from tests.programs.classifier import CLASSES, NAME, draw
from tests.programs.conftest import Packages
from tests.release.versions import HEAD, damage, fitted_head, head_of, trainable, weights, write_manifest


@pytest.fixture
def running(packages: Packages, tmp_path: Path) -> Package:
    return trainable(packages.split, tmp_path / "one.split")


@pytest.fixture
def data(packages: Packages) -> Data:
    specs = tuple(entry.to_spec() for entry in packages.manifest.model.inputs)
    return read_samples(packages.calibration, specs)


def made(running: Package, parameters: Array, data: Data, **options: Rule) -> Candidate:
    return make_candidate(running, parameters, Evidence(data), running.path.with_name("two.split"), **options)


def test_a_better_head_is_released(running: Package, data: Data, tmp_path: Path) -> None:
    fitted = fitted_head(running)
    candidate = made(running, fitted, data)
    found = candidate.judgement
    assert found.released, found.reason
    assert candidate.package.path == tmp_path / "two.split"
    new = open_package(tmp_path / "two.split")
    new.check()
    assert new.manifest.model.version == 2
    np.testing.assert_array_equal(head_of(new), fitted)
    assert found.candidate.forwarded_share < 0.8 * found.running.forwarded_share
    assert found.candidate.bytes_per_sample < found.running.bytes_per_sample
    assert found.candidate.device_accuracy is not None
    assert found.running.device_accuracy is not None
    assert found.candidate.device_accuracy > found.running.device_accuracy
    report = json.loads((tmp_path / "two.report.json").read_text())
    assert report == json.loads(json.dumps(found.to_json()))
    assert (report["released"], report["rule"]["name"], report["samples"]) == (True, "no-worse-and-better", 1500)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.split", "two.report.json", "two.split"]


def test_only_what_learned_changes(running: Package, data: Data) -> None:
    new = made(running, fitted_head(running), data).package
    before, after = running.manifest, new.manifest
    for path, entry in before.files.items():
        same = (new.path / path).read_bytes() == (running.path / path).read_bytes()
        assert same == (path != "segments/device.onnx"), path
        assert (after.files[path] == entry) == same
    assert before.training == after.training
    plan = after.plan
    assert plan.id != before.plan.id
    assert (plan.wires, plan.segments, plan.predicted_ms) == (
        before.plan.wires,
        before.plan.segments,
        before.plan.predicted_ms,
    )
    assert all(choice.accuracy is None for choice in plan.alternatives)
    checked = plan.verification
    assert (checked.level, checked.against_version, checked.samples) == ("revised", 1, 1500)
    assert checked.accuracy_drop == 0.0  # of the last tier, which is the same
    assert checked.agreement is not None
    assert 0.5 < checked.agreement < 1.0  # the device's exit answers otherwise


def test_the_backup_model_comes_along(running: Package, data: Data) -> None:
    content, model = b"a small model", running.manifest.model
    (running.path / "backup").mkdir()
    (running.path / "backup" / "backup.onnx").write_bytes(content)
    backup = BackupEntry(
        file="backup/backup.onnx",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        inputs=model.inputs,
        outputs=model.outputs,
    )
    write_manifest(running.path, running.manifest.model_copy(update={"backup": backup}))
    new = made(open_package(running.path), fitted_head(running), data).package
    assert new.manifest.backup == backup
    assert new.read_file(backup) == content


def test_thresholds_keep_the_stated_risk(running: Package, data: Data) -> None:
    new = made(running, fitted_head(running), data).package
    values = observe(new, new.manifest.plan, data).values
    for old, entry in zip(running.manifest.exits, new.manifest.exits, strict=True):
        assert old.calibration is not None
        assert entry.calibration is not None
        assert (entry.calibration.epsilon, entry.calibration.delta) == (
            old.calibration.epsilon,
            old.calibration.delta,
        )
        assert data.labels is not None
        early, final = (values[name].argmax(axis=1) == data.labels for name in (entry.outputs["y"], "y"))
        leaving = values[entry.confidence] >= np.float32(entry.threshold)
        costly = float((final & ~early & leaving).mean())
        assert costly <= entry.calibration.bound <= entry.calibration.epsilon
        assert entry.calibration.share == pytest.approx(leaving.mean())
    device, edge = new.manifest.exits
    assert device.threshold != running.manifest.exits[0].threshold
    assert edge.threshold == running.manifest.exits[1].threshold  # nothing there has changed


@pytest.mark.parametrize(
    ("worse", "reason"),
    [
        (lambda head: head, "no worse"),  # the same again
        (lambda head: -head, "the accuracy may drop by up to"),
    ],
)
def test_what_is_not_better_is_kept_aside(
    running: Package, data: Data, tmp_path: Path, worse: Callable[[Array], Array], reason: str
) -> None:
    for _ in range(2):  # the second replaces the first
        candidate = made(running, worse(head_of(running)), data)
        assert not candidate.judgement.released
        assert reason in candidate.judgement.reason
    assert not (tmp_path / "two.split").exists()
    aside = tmp_path / "two.refused"
    assert candidate.package.path == aside / "candidate.split"
    open_package(candidate.package.path).check()
    assert json.loads((aside / "report.json").read_text())["reason"] == candidate.judgement.reason
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.split", "two.refused"]


def test_an_exit_that_keeps_no_risk_is_not_released(running: Package, data: Data) -> None:
    assert data.labels is not None
    few = Data(data.specs, data.take(range(60)), data.labels[:60], 60)
    candidate = made(running, fitted_head(running), few)
    assert not candidate.judgement.released
    assert (
        "the exit of segment 'device' has no threshold that keeps its risk at 0.01" in candidate.judgement.reason
    )
    for old, entry in zip(running.manifest.exits, candidate.package.manifest.exits, strict=True):
        assert (entry.threshold, entry.calibration) == (old.threshold, None)


def test_too_few_samples_release_nothing(running: Package, data: Data) -> None:
    assert data.labels is not None
    few = Data(data.specs, data.take(range(60)), data.labels[:60], 60)
    evidence = Evidence(data, judged=few)
    output = running.path.with_name("two.split")
    found = make_candidate(running, fitted_head(running), evidence, output).judgement
    assert (found.released, found.samples) == (False, 60)
    assert "too few samples to tell" in found.reason
    assert make_candidate(
        running, fitted_head(running), evidence, output, rule=Rule(tolerance=0.2)
    ).judgement.released


def test_without_labels_the_running_versions_last_answers_count(running: Package, data: Data) -> None:
    unlabelled = Data(data.specs, data.inputs, None, data.count)
    found = made(running, fitted_head(running), unlabelled).judgement
    assert (found.truth, found.released) == ("running", True)
    assert found.running.accuracy > 0.95  # of the last tier's own answers


def test_figures_are_those_of_a_device_that_serves(packages: Packages) -> None:
    """What is judged is what happens: a session alone leaves and sends just those samples."""
    package = open_package(packages.u8)
    x, labels = draw(300, seed=9)
    data = Data(tuple(entry.to_spec() for entry in package.manifest.model.inputs), {"x": x}, labels, 300)
    observed = observe(package, package.manifest.plan, data)
    outcomes = route(package.manifest, observed, labels)
    with Session(packages.u8) as session:  # what it would send up falls back
        answer = session.infer(x)
    forwarded = np.array([reason != "" for reason in answer.fallbacks])
    np.testing.assert_array_equal(outcomes.forwarded, forwarded)
    assert outcomes.device_right is not None
    np.testing.assert_array_equal(outcomes.device_right, answer.outputs["y"].argmax(axis=1) == labels)
    low, mid = (wire.tensors[0].bytes_per_sample for wire in package.manifest.plan.wires)
    assert set(outcomes.sent_bytes[~forwarded]) == {0}
    assert set(outcomes.sent_bytes[forwarded]) == {low, low + mid}


@pytest.mark.parametrize("codec", ["none", "f16"])
def test_weights_beside_the_segments_are_written_anew(
    packages: Packages, data: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: CodecName
) -> None:
    monkeypatch.setattr("splitnet.partition.pack.INLINE_BYTES", 0)
    monkeypatch.setattr("splitnet.graph.weight_files.LEAST_BYTES", 64)
    monkeypatch.setattr("splitnet.graph.weight_files.WeightStore.__init__.__kwdefaults__", {"least_bytes": 64})
    job = PartitionOptions(
        packages.model,
        tmp_path / "linked.split",
        default_site(),
        name=NAME,
        calibration=packages.calibration,
        epsilon=0.02,
        profile_s=0.05,
        cuts=(("low",), ("mid",)),
        codec=codec,
    )
    partition(job)
    running = trainable(tmp_path / "linked.split", tmp_path / "one.split")
    assert len(running.manifest.segments[0].weights) == 2
    fitted = fitted_head(running)
    new = make_candidate(running, fitted, Evidence(data), tmp_path / "two.split").package
    new.check()
    np.testing.assert_array_equal(head_of(new), fitted)
    kept = set(running.manifest.files) & set(new.manifest.files)
    assert all(
        (new.path / name).read_bytes() == (running.path / name).read_bytes() for name in kept if "weights" in name
    )
    assert len(new.manifest.segments[0].weights) == 2
    assert running.manifest.segments[0].weights != new.manifest.segments[0].weights


def copied_into_edge(running: Package, head: Array) -> None:
    """Give the edge's segment an initialiser named as what learns, as when it computes the device's part again."""
    edge = running.manifest.segment_of("edge")
    assert edge is not None
    model = onnx.load(running.path / edge.file)
    model.graph.initializer.append(numpy_helper.from_array(head.reshape(48, 4), HEAD))
    content = model.SerializeToString()
    (running.path / edge.file).write_bytes(content)
    changed = edge.model_copy(update={"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)})
    segments = tuple(changed if entry.id == edge.id else entry for entry in running.manifest.segments)
    write_manifest(running.path, running.manifest.model_copy(update={"segments": segments}))


def test_every_segment_that_holds_a_parameter_gets_it(running: Package, data: Data) -> None:
    copied_into_edge(running, head_of(running))
    fitted = fitted_head(running)
    new = made(open_package(running.path), fitted, data).package
    for segment in ("device", "edge"):
        np.testing.assert_array_equal(weights(new.path / f"segments/{segment}.onnx")[HEAD].ravel(), fitted)


def test_a_trunk_that_learned_stays_as_it_was_where_an_upper_tier_computes_it_again(
    running: Package, data: Data
) -> None:
    before = head_of(running)
    copied_into_edge(running, before)
    manifest = open_package(running.path).manifest
    learning = tuple(entry.model_copy(update={"scope": "segment"}) for entry in manifest.training)
    write_manifest(running.path, manifest.model_copy(update={"training": learning}))
    fitted = fitted_head(running)
    new = made(open_package(running.path), fitted, data).package
    np.testing.assert_array_equal(head_of(new), fitted)
    np.testing.assert_array_equal(weights(new.path / "segments/edge.onnx")[HEAD].ravel(), before)


def test_a_name_that_stands_for_two_tensors_is_refused(running: Package, data: Data) -> None:
    copied_into_edge(running, head_of(running) + 1)
    with pytest.raises(PackageError, match="'low_y_w' is another tensor than in a segment before"):
        made(open_package(running.path), fitted_head(running), data)


def test_a_vector_that_does_not_fit_is_refused(running: Package, data: Data, tmp_path: Path) -> None:
    head = head_of(running)
    broken = head.copy()
    broken[3] = np.nan
    for parameters, message in [
        (head[:-1], r"expected float32 \[192\], got float32 \[191\]"),
        (head.astype(np.float64), r"expected float32 \[192\], got float64"),
        (broken, "infinite or no numbers"),
    ]:
        with pytest.raises(InvalidArgumentError, match=message):
            made(running, parameters, data)
    assert [path.name for path in tmp_path.iterdir()] == ["one.split"]


@pytest.mark.parametrize("shift", [CLASSES, -1])
def test_labels_that_no_answer_can_equal_are_refused(running: Package, data: Data, shift: int) -> None:
    """Both versions would be wrong all the time, so that even a head that knows nothing would be no worse."""
    assert data.labels is not None
    wrong = replace(data, labels=data.labels + shift)
    nothing = np.zeros_like(head_of(running))
    for evidence in (Evidence(wrong), Evidence(data, wrong)):
        with pytest.raises(InvalidArgumentError, match=rf"labels: expected classes from 0 to {CLASSES - 1}"):
            make_candidate(running, nothing, evidence, running.path.with_name("two.split"))


def test_samples_that_trained_the_exits_judge_nothing(running: Package, packages: Packages, data: Data) -> None:
    digest = hashlib.sha256(packages.calibration.read_bytes()).hexdigest()
    kept = divide(data, held_out=data.count // 2, seed=3).held_out
    held_out = HeldOutEntry(sha256=digest, samples=kept.count, seed=3)
    training = tuple(entry.model_copy(update={"held_out": held_out}) for entry in running.manifest.training)
    write_manifest(running.path, running.manifest.model_copy(update={"training": training}))
    package = open_package(running.path)
    found = read_evidence(package, packages.calibration)
    np.testing.assert_array_equal(found.calibration.labels, kept.labels)
    assert found.calibration.count < data.count
    other = running.path.with_name("other.npz")
    assert data.labels is not None
    np.savez(other, allow_pickle=False, labels=data.labels, **data.inputs)
    assert read_evidence(package, packages.calibration, other).judged is not None
    assert read_evidence(package, other).calibration.count == data.count


def test_a_package_that_cannot_learn_is_refused(packages: Packages, data: Data, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="nothing in the package of 'classifier' can be trained"):
        make_candidate(
            open_package(packages.split), np.zeros(1, np.float32), Evidence(data), tmp_path / "two.split"
        )


def test_a_damaged_running_version_makes_nothing(running: Package, data: Data, tmp_path: Path) -> None:
    head = head_of(running)
    damage(running.path)
    with pytest.raises(PackageError, match="SHA-256"):
        made(running, head, data)
    assert [path.name for path in tmp_path.iterdir()] == ["one.split"]


def test_the_running_version_is_not_overwritten(running: Package, data: Data, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="is the running version"):
        make_candidate(running, fitted_head(running), Evidence(data), tmp_path / "one.split")


def test_another_folder_is_not_taken_for_a_refused_candidate(running: Package, data: Data, tmp_path: Path) -> None:
    (tmp_path / "two.refused").mkdir()
    (tmp_path / "two.refused" / "thesis.txt").write_text("years of work")
    with pytest.raises(PackageError, match="is no folder of a refused candidate"):
        made(running, head_of(running), data)
    assert (tmp_path / "two.refused" / "thesis.txt").read_text() == "years of work"
