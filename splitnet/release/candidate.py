"""From learned parameters to the next version of a package: put in, calibrated, judged, released or refused."""

import json
import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from splitnet.errors import InvalidArgumentError, PackageError
from splitnet.learn.vector import Vector
from splitnet.package import Manifest, Package, check_target, open_package, write_package
from splitnet.release.conclusion import compared, concluded, recalibrated
from splitnet.release.evidence import Evidence
from splitnet.release.figures import class_output, last_answers, route
from splitnet.release.revision import Revision, revise
from splitnet.release.rule import Judgement, Rule, judge
from splitnet.release.stitched import Observation, observe
from splitnet.samples import Samples, check_labels
from splitnet.whole_file import write_whole

logger = logging.getLogger(__name__)

#: What a refused candidate is kept as, beside its report.
REFUSED_PACKAGE = "candidate.split"
REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What came of it.

    Attributes:
        judgement: with the reason and both sets of figures.
        package: as written: where it was to go if it is released, else in the folder of refused ones.
        report: the judgement as a JSON file.
    """

    judgement: Judgement
    package: Package
    report: Path


def make_candidate(
    package: Package, parameters: Vector, evidence: Evidence, output: Path, *, rule: Rule | None = None
) -> Candidate:
    """Make the next version of `package` with other parameters, judge it, and write it.

    Released, it is written to `output`, with the report beside it (`NAME.report.json` for `NAME.split`). Refused,
    it goes with its report into the folder `NAME.refused`, as `candidate.split`, and `output` is left as it is.
    Nothing is ever half there.

    Args:
        package: the running version.
        parameters: float32 `[d]`, in the order of the manifest's training entry.
        evidence: samples of the model's inputs, with labels where there are any.
        output: directory of the package to write.
        rule: by which it is judged; the default one if None.

    Raises:
        InvalidArgumentError: nothing in the package can be trained, the vector does not fit or is not finite, a
            label is no class, or `output` is the running package.
        PackageError: a file is missing or altered, or something is in the way.
        ModelError: a segment cannot be run, or the model is no classifier.
    """
    check_target(output)
    if output.resolve() == package.path.resolve():
        raise InvalidArgumentError(f"{output}: is the running version; give the next one another name")
    _check_truth(package.manifest, evidence)
    revision = revise(package, parameters)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
            draft = write_package(Path(scratch) / "draft.split", revision.manifest, revision.files)
            judgement, manifest = _judged(package, draft, evidence, rule or Rule())
            final = Revision(manifest, revision.files)
            if judgement.released:
                return _release(final, judgement, output)
            return _set_aside(final, judgement, output, Path(scratch) / "refused")
    except OSError as err:
        raise PackageError(f"{output}: cannot be written: {err.strerror}") from err


def _check_truth(manifest: Manifest, evidence: Evidence) -> None:
    """Refuse labels that no answer can equal: where both versions are wrong all the time, neither is worse."""
    answer = class_output(manifest)
    (classes,) = (entry.shape[1] for entry in manifest.model.outputs if entry.name == answer)
    for samples in (evidence.calibration, evidence.judged):
        if samples is not None and isinstance(classes, int):
            check_labels(samples, classes)


def _judged(package: Package, draft: Package, evidence: Evidence, rule: Rule) -> tuple[Judgement, Manifest]:
    """Calibrate the draft and hold it against the running version; return what is found and its final manifest."""
    calibrating = _observed(draft, evidence.calibration)
    exits, lost = recalibrated(draft.manifest, calibrating, evidence.calibration.labels)
    judged = evidence.judged or evidence.calibration
    after = calibrating if evidence.judged is None else _observed(draft, judged)
    before = _observed(package, judged)
    manifest = concluded(draft.manifest, exits, compared(package.manifest, before, after, judged.labels))
    default = package.manifest.plan.id
    truth = judged.labels
    if truth is None:
        truth = last_answers(package.manifest, before[default])
    found = judge(
        route(package.manifest, before[default], truth),
        route(manifest, after[default], truth),
        (package.manifest.model.version, manifest.model.version),
        "labels" if judged.labels is not None else "running",
        rule,
    )
    return (replace(found, released=False, reason="; ".join(lost)) if lost else found), manifest


def _observed(package: Package, samples: Samples) -> dict[str, Observation]:
    """What each plan's segments gave, by the plan's id (which the draft has from the running version)."""
    return {plan.id: observe(package, plan, samples) for plan in package.manifest.plans}


def _release(final: Revision, judgement: Judgement, output: Path) -> Candidate:
    """Write the package last: whoever finds it finds its report."""
    report = output.with_name(f"{output.stem}.{REPORT}")
    _write_report(judgement, report)
    package = write_package(output, final.manifest, final.files)
    logger.info("version %d is released: %s", judgement.candidate.version, judgement.reason)
    return Candidate(judgement, package, report)


def _set_aside(final: Revision, judgement: Judgement, output: Path, building: Path) -> Candidate:
    """Write the folder of a refused candidate whole; one of before is replaced."""
    folder = output.with_name(f"{output.stem}.refused")
    if folder.exists() and not (folder / REPORT).is_file():
        raise PackageError(f"{folder}: is no folder of a refused candidate; choose another output or move it away")
    write_package(building / REFUSED_PACKAGE, final.manifest, final.files)
    _write_report(judgement, building / REPORT)
    building.chmod(0o755)
    if folder.exists():
        folder.rename(building.with_name("before"))  # removed with the scratch folder
    building.rename(folder)
    logger.info("version %d is refused: %s", judgement.candidate.version, judgement.reason)
    return Candidate(judgement, open_package(folder / REFUSED_PACKAGE), folder / REPORT)


def _write_report(judgement: Judgement, path: Path) -> None:
    write_whole(json.dumps(judgement.to_json(), indent=2).encode() + b"\n", path)
