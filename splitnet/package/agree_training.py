"""Whether what a manifest says of training agrees with its segments, exits and files."""

from collections.abc import Iterator, Sequence

from splitnet.package.entries import TensorEntry
from splitnet.package.manifest import Manifest, SegmentEntry
from splitnet.package.training import TrainingEntry, state_of
from splitnet.tensors import BATCH


def training_disagreements(manifest: Manifest) -> Iterator[str]:
    """Yield one sentence for each contradiction between the training entries and the rest."""
    yield from _repeated("training: segment", [entry.segment for entry in manifest.training])
    yield from _files(manifest)
    segments = {segment.id: segment for segment in manifest.segments}
    for index, entry in enumerate(manifest.training):
        where, segment = f"training[{index}]", segments.get(entry.segment)
        yield from (f"{where}{wrong}" for wrong in _steps(entry))
        if segment is None or segment.tier != "device" or segment.id not in manifest.plan.segments:
            yield f"{where}.segment: {entry.segment!r} is no device segment of the default plan"
        else:
            yield from (f"{where}{wrong}" for wrong in _output(entry, segment, manifest))
            yield from (f"{where}{wrong}" for wrong in _inputs(entry, segment))


def _repeated(field: str, values: Sequence[str]) -> Iterator[str]:
    for value in {value for value in values if values.count(value) > 1}:
        yield f"{field} {value!r} stands twice"


def _files(manifest: Manifest) -> Iterator[str]:
    """Each file of a training is its own: no other training's, segment's or weights."""
    others = {entry.file for segment in manifest.segments for entry in (segment, *segment.weights)}
    own = [entry.file for training in manifest.training for entry in training.files]
    yield from _repeated("training: file", own)
    for file in sorted(others.intersection(own)):
        yield f"training: file {file!r} is a segment's"


def _output(entry: TrainingEntry, segment: SegmentEntry, manifest: Manifest) -> Iterator[str]:
    head = manifest.exit_of(segment.id)
    if head is None or entry.output not in head.outputs.values():
        yield f".output: {entry.output!r} is no answer of an exit of segment {segment.id!r}"
    wanted = TensorEntry(name=entry.output, dtype="float32", shape=("batch", entry.classes))
    if wanted not in segment.outputs:
        yield f".output: segment {segment.id!r} makes no {entry.output!r} of float32[batch, {entry.classes}]"


def _inputs(entry: TrainingEntry, segment: SegmentEntry) -> Iterator[str]:
    made = segment.inputs if entry.features is None else entry.features.outputs
    source = f"segment {segment.id!r} takes" if entry.features is None else "features make"
    yield from _repeated(".inputs: name", [tensor.name for tensor in entry.inputs])
    for tensor in entry.inputs:
        if tensor not in made:
            yield f".inputs: {source} no {tensor.name!r} of {tensor.dtype}{list(tensor.shape)}"


def _steps(entry: TrainingEntry) -> Iterator[str]:
    yield from _repeated(".parameters: name", [tensor.name for tensor in entry.parameters])
    for tensor in entry.parameters:
        if tensor.dtype != "float32" or BATCH in tensor.shape:
            yield f".parameters: {tensor.name!r} is {tensor.dtype}{list(tensor.shape)}; expected float32, no batch"
    yield from _repeated(".steps: optimiser", [step.optimiser for step in entry.steps])
    for step in entry.steps:
        expected = state_of(step.optimiser, entry.parameters)
        if step.state != expected:
            yield f".steps: the state of {step.optimiser} is not that of the parameters: {_names(expected)}"


def _names(entries: Sequence[TensorEntry]) -> str:
    return ", ".join(entry.name for entry in entries[:4]) + (", ..." if len(entries) > 4 else "")
