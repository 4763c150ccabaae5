"""The package: the unit of deployment, a directory with a manifest and plain ONNX files."""

from splitnet.package.entries import MAX_VERSION, FileEntry, TensorEntry
from splitnet.package.manifest import (
    FORMAT_VERSION,
    MAX_PLANS,
    MODEL_NAME,
    BackupEntry,
    CalibrationEntry,
    ExitEntry,
    Manifest,
    ModelEntry,
    SegmentEntry,
    WeightsEntry,
)
from splitnet.package.plan_id import plan_id
from splitnet.package.plans import Alternative, PlanEntry, StageEntry, VerificationEntry
from splitnet.package.reader import Package, open_package, read_manifest
from splitnet.package.training import FeaturesEntry, HeldOutEntry, Optimiser, StepEntry, TrainingEntry, state_of
from splitnet.package.wires import MESSAGE_BYTES, LinkEntry, WireEntry, WireTensor
from splitnet.package.writer import Content, check_target, write_package

__all__ = [
    "FORMAT_VERSION",
    "MAX_PLANS",
    "MAX_VERSION",
    "MESSAGE_BYTES",
    "MODEL_NAME",
    "Alternative",
    "BackupEntry",
    "CalibrationEntry",
    "Content",
    "ExitEntry",
    "FeaturesEntry",
    "FileEntry",
    "HeldOutEntry",
    "LinkEntry",
    "Manifest",
    "ModelEntry",
    "Optimiser",
    "Package",
    "PlanEntry",
    "SegmentEntry",
    "StageEntry",
    "StepEntry",
    "TensorEntry",
    "TrainingEntry",
    "VerificationEntry",
    "WeightsEntry",
    "WireEntry",
    "WireTensor",
    "check_target",
    "open_package",
    "plan_id",
    "read_manifest",
    "state_of",
    "write_package",
]
