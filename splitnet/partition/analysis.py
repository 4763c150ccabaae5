"""The model taken apart: shapes observed, the trunk found, exits calibrated."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import onnx_ir as ir

from splitnet.errors import ModelError
from splitnet.graph import (
    Cut,
    TrunkFlow,
    cut_at,
    fix_axes,
    input_specs,
    is_below,
    load_model,
    output_specs,
    quantised_tensors,
    sendable_specs,
    trunk_flow,
)
from splitnet.partition.exit_heads import NO_EXITS, Exits, calibrated, from_metadata
from splitnet.partition.exit_metadata import ExitDescription, check_exits, describe_exits
from splitnet.partition.exit_training import lacks_exits, report_exits, with_trained_exits
from splitnet.partition.options import PartitionOptions
from splitnet.partition.samples import samples_for
from splitnet.partition.whole import WholeModel
from splitnet.samples import Samples, check_labels
from splitnet.tensors import TensorSpec


@dataclass(frozen=True, slots=True)
class Analysis:
    """What is known of a model before anything is planned.

    Attributes:
        model: loaded, with shapes recorded.
        whole: runs it.
        inputs: what it takes.
        outputs: its own outputs: those that belong to no early exit.
        flow: the nodes that those depend on, and the tensors between them.
        hand_cuts: where to cut, where that was asked for; nested.
        specs: the tensors that can be sent, by name.
        exits: with thresholds and survival.
        samples: the calibration data, without those that trained exits here, or random values.
        calibrated: whether the samples are calibration data.
        trained_exits: whether the exits were trained here, on those calibration data that `samples` lack.
        quantised: in a QDQ model, the tensors that can be cut without changing answers; else empty.
    """

    model: ir.Model
    whole: WholeModel
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    flow: TrunkFlow
    hand_cuts: tuple[Cut, ...]
    specs: dict[str, TensorSpec]
    exits: Exits
    samples: Samples
    calibrated: bool
    trained_exits: bool
    quantised: frozenset[str]

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of the model's own outputs."""
        return tuple(spec.name for spec in self.outputs)

    @property
    def batched(self) -> bool:
        """Whether the model takes any number of samples at a time."""
        return any(spec.batch_axis is not None for spec in self.inputs)


def analyse(options: PartitionOptions, on_training: Callable[[float], None] = lambda _share: None) -> Analysis:
    """Load the model, observe its shapes, find its trunk, and calibrate its exits, trained here where it has none.

    Args:
        options: the job.
        on_training: called with the share of the exits' training that is done, 0.0 to 1.0.

    Raises:
        ModelError: the model cannot be loaded, run or cut.
        NotFoundError: a file or a named tensor does not exist.
        InvalidArgumentError: the calibration data do not fit the model.
    """
    model = load_model(options.model)
    fix_axes(model, options.axis_sizes)
    inputs = input_specs(model)
    samples = samples_for(inputs, options.calibration, seed=options.seed)
    trained = lacks_exits(model, options)
    whole = (
        with_trained_exits(model, samples, options, on_progress=on_training)
        if trained
        else WholeModel(model, samples)
    )
    samples = whole.samples
    described = describe_exits(model)
    early = {name for entry in described for name in entry.tensors}
    outputs = tuple(spec for spec in output_specs(model) if spec.name not in early)
    check_exits(described, {spec.name: spec for spec in output_specs(model)}, outputs)
    _check_labels(samples, outputs)
    names = [spec.name for spec in outputs]
    flow = trunk_flow(model, names)
    exits = _exits(whole, described, samples, options) if options.use_exits else NO_EXITS
    if trained:
        report_exits(described, exits)
    return Analysis(
        model,
        whole,
        input_specs(model),
        outputs,
        flow,
        _hand_cuts(model, flow, names, options.cuts),
        sendable_specs(model),
        exits,
        samples,
        options.calibration is not None,
        trained,
        quantised_tensors(model),
    )


def _check_labels(samples: Samples, outputs: Sequence[TensorSpec]) -> None:
    """Raise InvalidArgumentError where a label is no class of the output that predicts classes."""
    shapes = [spec.shape for spec in outputs if len(spec.shape) == 2 and spec.batch_axis == 0]
    if shapes and int(shapes[0][1]) > 1:
        check_labels(samples, int(shapes[0][1]))


def _exits(
    whole: WholeModel, described: tuple[ExitDescription, ...], samples: Samples, options: PartitionOptions
) -> Exits:
    if not described:
        return NO_EXITS
    if options.calibration is None:
        return from_metadata(described)
    outputs = whole.answers(samples.count)
    return calibrated(described, outputs, samples.labels, epsilon=options.epsilon, delta=options.delta)


def _hand_cuts(
    model: ir.Model, flow: TrunkFlow, outputs: Sequence[str], by_hand: Sequence[Sequence[str]]
) -> tuple[Cut, ...]:
    cuts = [cut_at(model, outputs, tensors) for tensors in by_hand]
    for lower, upper in itertools.pairwise(cuts):
        if not is_below(lower, upper):
            raise ModelError(
                f"the cut {list(upper.tensors)} is not above the cut {list(lower.tensors)}; "
                "give the device's cut first"
            )
    read_by = {tensor.name: tensor.consumers for tensor in flow.tensors}
    # An answer that nothing above reads stays with the tier that made it.
    return tuple(
        Cut(cut.position, tuple(name for name in cut.tensors if not cut.nodes >= set(read_by[name])), cut.nodes)
        for cut in cuts
    )
