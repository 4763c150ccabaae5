"""Profiling a model as the partition would, to plan for this machine elsewhere."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splitnet.cost import NodeTime, Profile, ProfiledMachine, StoredProfile, this_machine
from splitnet.graph import fix_axes, input_specs, load_model
from splitnet.partition.samples import samples_for
from splitnet.partition.whole import WholeModel


@dataclass(frozen=True, slots=True)
class ProfileJob:
    """What to profile.

    Attributes:
        model: the ONNX file.
        calibration: `.npz` with the model's inputs, of which the first sample is run; random values otherwise.
        axis_sizes: sizes of open axes other than the batch, by name.
        seconds: how long to measure.
        seed: of the random values.
        name: what to call this machine; its host name otherwise.
    """

    model: Path
    calibration: Path | None = None
    axis_sizes: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 2.0
    seed: int = 0
    name: str | None = None


def profile_file(job: ProfileJob, *, on_progress: Callable[[float], None] | None = None) -> StoredProfile:
    """Load a model and measure one sample on one thread of this machine.

    Args:
        job: what to profile.
        on_progress: called with the share of the time that has passed, 0.0 to 1.0.

    Raises:
        ModelError: the model cannot be loaded or run.
        NotFoundError: a file does not exist.
        InvalidArgumentError: the samples do not fit the model, or `seconds` is not above zero.
    """
    model = load_model(job.model)
    fix_axes(model, job.axis_sizes)
    specs = input_specs(model)
    samples = samples_for(specs, job.calibration, seed=job.seed)
    profile = WholeModel(model, samples).profile(seconds=job.seconds, on_progress=on_progress)
    ops = {node.name: node.op_type for node in model.graph if node.name}
    return _stored(job, profile, ops)


def _stored(job: ProfileJob, profile: Profile, ops: Mapping[str, str]) -> StoredProfile:
    hardware = this_machine()
    with job.model.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredProfile(
        model_sha256=digest,
        axis_sizes=dict(job.axis_sizes),
        machine=ProfiledMachine(name=job.name or hardware.name, cpu=hardware.cpu, cores=hardware.cores),
        whole_ms=profile.whole_ms,
        basic_ms=profile.basic_ms,
        runs=profile.runs,
        nodes=tuple(NodeTime(name=name, op=ops[name], ms=ms) for name, ms in profile.node_ms.items()),
    )
