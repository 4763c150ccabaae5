"""What `splitnet partition` is asked to do."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from splitnet.codec import CodecName
from splitnet.cost import Site

Place = Literal["auto", "split", "all-device", "all-edge", "all-cloud"]


@dataclass(frozen=True, slots=True)
class PartitionOptions:
    """One job.

    Attributes:
        model: the ONNX file.
        output: directory of the package to write.
        site: the machines and links to plan for.
        name: what the model is served as; the file's stem otherwise.
        version: the package's version.
        calibration: `.npz` with the model's inputs and optional `labels`; needed for codec u8 and for exits
            whose thresholds are not in the model already.
        codec: one for every wire, or "auto".
        use_exits: whether early exits may be attached.
        cuts: boundary tensors by hand, one set a cut, at most two; empty lets the planner choose.
        place: which placements the planner may choose from.
        axis_sizes: sizes of open axes other than the batch, by name.
        epsilon: accuracy that all exits together may cost, as a share of samples.
        delta: the probability with which `epsilon` may be exceeded all the same.
        profile_s: seconds to profile the model for.
        seed: of the random inputs that stand in for missing calibration data.
    """

    model: Path
    output: Path
    site: Site
    name: str | None = None
    version: int = 1
    calibration: Path | None = None
    codec: CodecName | Literal["auto"] = "auto"
    use_exits: bool = True
    cuts: tuple[tuple[str, ...], ...] = ()
    place: Place = "auto"
    axis_sizes: Mapping[str, int] = field(default_factory=dict)
    epsilon: float = 0.005
    delta: float = 0.05
    profile_s: float = 2.0
    seed: int = 0
