"""The backup model of a package: a small one that answers on a device which has no exit and reaches nobody."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splitnet.errors import InvalidArgumentError, ModelError
from splitnet.graph import input_specs, load_model, model_bytes, output_specs, weight_bytes
from splitnet.onnx_session import OnnxSession
from splitnet.package import BackupEntry, TensorEntry
from splitnet.partition.analysis import Analysis
from splitnet.tensors import TensorSpec

#: Where it lies in the package.
FILE = "backup/backup.onnx"

#: A device holds it in memory beside its own segment, for bad days.
MOST_BYTES = 256 * 2**20

_AT_A_TIME = 32


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup model, checked, and its entry in the manifest."""

    entry: BackupEntry
    content: bytes


def backup_of(path: Path, analysis: Analysis) -> Backup:
    """Load the backup model at `path`, hold it against the model, and run it on the calibration samples.

    Raises:
        NotFoundError: there is no such file.
        ModelError: it cannot be loaded or run, or is too large.
        InvalidArgumentError: it takes something that the model does not, or lacks one of its answers.
    """
    model = load_model(path)
    if (held := weight_bytes(model)) > MOST_BYTES:
        raise ModelError(f"{path}: {held} bytes of weights; a backup model has at most {MOST_BYTES}")
    inputs = input_specs(model)
    _check(path, "takes", inputs, analysis.inputs)
    _check(path, "answers", analysis.outputs, output_specs(model))
    content = model_bytes(model)
    entry = BackupEntry(
        file=FILE,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        inputs=tuple(TensorEntry.from_spec(spec) for spec in inputs),
        outputs=tuple(TensorEntry.from_spec(spec) for spec in analysis.outputs),
        accuracy=_accuracy(OnnxSession(content, name="the backup model"), analysis),
    )
    return Backup(entry, content)


def _check(path: Path, verb: str, wanted: Sequence[TensorSpec], there: Sequence[TensorSpec]) -> None:
    known = {spec.name: spec for spec in there}
    for spec in wanted:
        found = known.get(spec.name)
        if found != spec:
            got = "is not there" if found is None else f"is {found.dtype}{list(found.shape)} there"
            raise InvalidArgumentError(
                f"--backup {path}: the {'backup' if verb == 'takes' else 'model'} {verb} {spec.name!r} "
                f"{spec.dtype}{list(spec.shape)}, which {got} in the {'model' if verb == 'takes' else 'backup'}: "
                "a backup takes the model's inputs and gives its outputs, by the same names, types and shapes"
            )


def _accuracy(session: OnnxSession, analysis: Analysis) -> float | None:
    """Run it, which also shows that it runs at all; the share of right answers is known where labels are."""
    samples = analysis.samples
    classes = next((spec for spec in analysis.outputs if len(spec.shape) == 2 and spec.batch_axis == 0), None)
    if samples.labels is None or classes is None:
        session.run(dict(samples.take(range(1 if analysis.batched else samples.count))))
        return None
    right = 0
    for start in range(0, samples.count, _AT_A_TIME):
        part = range(start, min(start + _AT_A_TIME, samples.count))
        scores = session.run(dict(samples.take(part)))[classes.name]
        right += int((scores.argmax(axis=1) == samples.labels[part.start : part.stop]).sum())
    return right / samples.count
