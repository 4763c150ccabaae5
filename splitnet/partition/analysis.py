"""The model taken apart: shapes observed, cuts enumerated, exits found, and what the whole answers."""

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx_ir as ir

from splitnet.codec import ValueRange
from splitnet.errors import ModelError
from splitnet.graph import (
    Cut,
    cut_at,
    enumerate_cuts,
    fix_axes,
    input_specs,
    is_below,
    load_model,
    model_bytes,
    output_specs,
    quantised_tensors,
    record_shapes,
    sendable_specs,
    with_every_output,
)
from splitnet.onnx_session import OnnxSession
from splitnet.partition.exit_heads import NO_EXITS, Exits, calibrated, from_metadata
from splitnet.partition.exit_metadata import ExitDescription, check_exits, describe_exits
from splitnet.partition.options import PartitionOptions
from splitnet.partition.samples import random_samples
from splitnet.samples import Samples, read_samples
from splitnet.tensors import Tensors, TensorSpec

# Whole-model runs over calibration data go in batches of this many samples; few where every tensor is kept.
_BATCH = 64
_RANGE_BATCH = 4
# Ranges for u8 and the accuracy of codecs are measured on at most this many samples.
RANGE_SAMPLES = 256


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of a model before anything is planned.

    Attributes:
        model: loaded, with shapes recorded.
        inputs: what it takes.
        outputs: its own outputs: those that belong to no early exit.
        cuts: a nested chain, from the input to the whole.
        specs: the tensors that can be sent, by name.
        exits: with thresholds and survival.
        samples: the calibration data, or random values.
        calibrated: whether the samples are calibration data.
        quantised: in a QDQ model, the tensors that can be cut without changing answers; else empty.
    """

    model: ir.Model
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    cuts: tuple[Cut, ...]
    specs: dict[str, TensorSpec]
    exits: Exits
    samples: Samples
    calibrated: bool
    quantised: frozenset[str]

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the model's own outputs."""
        return tuple(spec.name for spec in self.outputs)

    @property
    def batched(self) -> bool:
        """Whether the model takes any number of samples at a time."""
        return any(spec.batch_axis is not None for spec in self.inputs)


def analyse(options: PartitionOptions) -> Analysis:
    """Load the model, observe its shapes, find its cuts and calibrate its exits.

    Raises:
        ModelError: the model cannot be loaded, run or cut.
        NotFoundError: a file or a named tensor does not exist.
        InvalidArgumentError: the calibration data do not fit the model.
    """
    model = load_model(options.model)
    fix_axes(model, options.axis_sizes)
    inputs = input_specs(model)
    samples = (
        read_samples(options.calibration, inputs)
        if options.calibration is not None
        else random_samples(inputs, seed=options.seed)
    )
    _observe_shapes(model, samples)
    described = describe_exits(model)
    early = {name for entry in described for name in entry.tensors}
    outputs = tuple(spec for spec in output_specs(model) if spec.name not in early)
    check_exits(described, {spec.name: spec for spec in output_specs(model)}, outputs)
    names = [spec.name for spec in outputs]
    exits = _exits(model, described, samples, options) if options.use_exits else NO_EXITS
    return Analysis(
        model,
        input_specs(model),
        outputs,
        _cuts(model, names, options.cuts),
        sendable_specs(model),
        exits,
        samples,
        options.calibration is not None,
        quantised_tensors(model),
    )


def run_whole(model: bytes, samples: Samples, *, count: int) -> Tensors:
    """Run the whole model on the first `count` samples and return its outputs, samples along axis 0."""
    session = OnnxSession(model, name="the whole model")
    parts = [session.run(samples.take(which)) for which in _batches(samples, count, _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def value_ranges(analysis: Analysis, tensors: Collection[str]) -> dict[str, ValueRange]:
    """Return the range of each float32 tensor over calibration data; {} without: random samples say nothing.

    Non-finite values are left out of a range.
    """
    wanted = {name for name in tensors if analysis.specs[name].dtype == "float32"}
    if not wanted or not analysis.calibrated:
        return {}
    samples = analysis.samples
    session = OnnxSession(model_bytes(_with_outputs(analysis.model, wanted)), name="the whole model")
    ranges: dict[str, ValueRange] = {}
    for which in _batches(samples, min(samples.count, RANGE_SAMPLES), _RANGE_BATCH):
        for name, array in session.run(samples.take(which)).items():
            finite = array[np.isfinite(array)]
            if finite.size:
                low, high = float(finite.min()), float(finite.max())
                seen = ranges.get(name, ValueRange(low, high))
                ranges[name] = ValueRange(min(seen.low, low), max(seen.high, high))
    return ranges


def _with_outputs(model: ir.Model, tensors: Collection[str]) -> ir.Model:
    copy = with_every_output(model)
    kept = [value for value in copy.graph.outputs if value.name in tensors]
    kept += [value for value in copy.graph.inputs if value.name in tensors]
    del copy.graph.outputs[:]
    copy.graph.outputs.extend(kept)
    return copy


def _batches(samples: Samples, count: int, most: int) -> Iterator[range]:
    size = most if any(spec.batch_axis is not None for spec in samples.specs) else 1
    for start in range(0, count, size):
        yield range(start, min(start + size, count))


def _observe_shapes(model: ir.Model, samples: Samples) -> None:
    """Run at two batch sizes, so that every axis that follows the batch is known as such."""
    batched = any(spec.batch_axis is not None for spec in samples.specs)
    sizes = [2, 3] if batched else [1]
    # Without optimisation, which would remove tensors that are to be seen.
    session = OnnxSession(model_bytes(with_every_output(model)), name="the whole model", optimisation="none")
    runs = [session.run(samples.take(range(size))) for size in sizes]
    record_shapes(model, [{name: (a.dtype.name, a.shape) for name, a in run.items()} for run in runs], sizes)


def _exits(
    model: ir.Model, described: tuple[ExitDescription, ...], samples: Samples, options: PartitionOptions
) -> Exits:
    if not described:
        return NO_EXITS
    if options.calibration is None:
        return from_metadata(described)
    outputs = run_whole(model_bytes(model), samples, count=samples.count)
    return calibrated(described, outputs, samples.labels, epsilon=options.epsilon, delta=options.delta)


def _cuts(model: ir.Model, outputs: Sequence[str], by_hand: Sequence[Sequence[str]]) -> tuple[Cut, ...]:
    chain = enumerate_cuts(model, outputs)
    cuts = [chain[0], *(cut_at(model, outputs, tensors) for tensors in by_hand), chain[-1]] if by_hand else chain
    for lower, upper in itertools.pairwise(cuts if by_hand else ()):
        if not is_below(lower, upper):
            raise ModelError(
                f"the cut {list(upper.tensors)} is not above the cut {list(lower.tensors)}; "
                "give the device's cut first"
            )
    answers = {value.name: value for value in model.graph.outputs if value.name in outputs}
    return tuple(
        Cut(
            position,
            tuple(name for name in cut.tensors if _is_read_above(name, answers, cut, chain[-1])),
            cut.nodes,
        )
        for position, cut in enumerate(cuts)
    )


def _is_read_above(name: str, answers: Mapping[str | None, ir.Value], cut: Cut, whole: Cut) -> bool:
    """Whether a boundary tensor is needed above; an answer that is not stays with the tier that made it."""
    if name not in answers:
        return True
    readers = {node.name for node in answers[name].consumers()}
    return any(reader in whole.nodes and reader not in cut.nodes for reader in readers)
