"""What `splitnet partition` is asked to do."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from splitnet.codec_names import CodecName
from splitnet.cost import Site
from splitnet.errors import InvalidArgumentError
from splitnet.package import MAX_PLANS, MAX_VERSION, MODEL_NAME
from splitnet.plan import Objective
from splitnet.tiers import TIERS, Tier

Place = Literal["auto", "split", "all-device", "all-edge", "all-cloud"]

#: What of the device's segment can learn there: nothing, its exit's own layers, or all that its scores need.
Trainable = Literal["none", "exits", "segment"]


@dataclass(frozen=True, slots=True)
class PartitionOptions:
    """One job.

    Attributes:
        model: the ONNX file.
        output: directory of the package to write.
        site: the machines and links to plan for.
        name: what the model is served as; the file's stem otherwise.
        version: the package's version.
        calibration: `.npz` with the model's inputs and optional `labels`; needed for codecs that quantise and for
            exits whose thresholds are not in the model already.
        objective: what the plan is best at.
        codec: one for every wire, or "auto".
        coding: of wire tensors outside the graph: "auto" uses it where it pays.
        bottleneck: consider learned bottlenecks that send one of so many values (needs calibration and torch).
        max_accuracy_drop: share of samples that codecs may cost, against labels, or against the uncut model's
            answers without them.
        keep_on_device: tensors that may cross no link, nor what is made of them before it leaves the device.
        use_exits: whether early exits may be attached.
        trainable: what of the device's segment the package can train on the device.
        cuts: boundary tensors by hand, one set a cut, at most two; empty lets the planner choose.
        place: which placements the planner may choose from.
        plans: how many plans the package may hold, for different bandwidths of the device's link.
        backup: an ONNX model that is to answer on a device which has no exit and reaches nobody.
        profiles: profile files of this model measured on a tier's own machine.
        axis_sizes: sizes of open axes other than the batch, by name.
        epsilon: accuracy that all exits together may cost, as a share of samples.
        delta: the probability with which `epsilon` may be exceeded all the same.
        profile_s: seconds to profile the model for, and to run the best plans for.
        seed: of the random inputs that stand in for missing calibration data, and of what is trained.

    Raises:
        InvalidArgumentError: a field is out of range, or two do not go together.
    """

    model: Path
    output: Path
    site: Site
    name: str | None = None
    version: int = 1
    calibration: Path | None = None
    objective: Objective = "latency"
    codec: CodecName | Literal["auto"] = "auto"
    coding: Literal["auto", "none"] = "auto"
    bottleneck: int | None = None
    max_accuracy_drop: float = 0.005
    keep_on_device: tuple[str, ...] = ()
    use_exits: bool = True
    trainable: Trainable = "none"
    cuts: tuple[tuple[str, ...], ...] = ()
    place: Place = "auto"
    plans: int = 1
    backup: Path | None = None
    profiles: Mapping[Tier, Path] = field(default_factory=dict)
    axis_sizes: Mapping[str, int] = field(default_factory=dict)
    epsilon: float = 0.005
    delta: float = 0.05
    profile_s: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name is not None and not re.fullmatch(MODEL_NAME, self.name):
            raise InvalidArgumentError(
                f"name {self.name!r}: expected 1 to 128 ASCII letters, digits, '_' and '-', "
                "a letter or digit first"
            )
        for name, value, highest in (("version", self.version, MAX_VERSION), ("plans", self.plans, MAX_PLANS)):
            if not 1 <= value <= highest:
                raise InvalidArgumentError(f"{name} {value}: expected 1 to {highest}")
        if not 0 <= self.max_accuracy_drop <= 1:
            raise InvalidArgumentError(f"max_accuracy_drop {self.max_accuracy_drop}: expected a share, 0 to 1")
        self._check_cuts()
        self._check_trainable()
        if self.calibration is None and self.codec not in ("auto", "none", "f16"):
            raise InvalidArgumentError(f"codec {self.codec} needs the values' ranges: give --calibration data")
        if self.bottleneck is not None and self.bottleneck < 2:
            raise InvalidArgumentError(f"bottleneck {self.bottleneck}: expected a reduction of 2 or more")
        if self.calibration is None and self.bottleneck is not None:
            raise InvalidArgumentError("a bottleneck is trained on samples: give --calibration data")

    def _check_trainable(self) -> None:
        if self.trainable == "none":
            return
        if not self.use_exits:
            raise InvalidArgumentError(
                "what learns on the device is its exit: leave --exits none or --trainable out"
            )
        if self.place not in ("auto", "split"):
            raise InvalidArgumentError(
                f"place {self.place} leaves the device without an exit that could be trained"
            )

    def _check_cuts(self) -> None:
        if len(self.cuts) > len(TIERS) - 1:
            raise InvalidArgumentError(f"{len(self.cuts)} cuts by hand: three tiers have at most two")
        if self.cuts and self.place != "auto":
            raise InvalidArgumentError("cuts by hand say where each tier ends: leave --place out")
        if self.plans > 1 and (self.cuts or self.place != "auto"):
            raise InvalidArgumentError("cuts by hand or one place make one plan: leave --plans out")
