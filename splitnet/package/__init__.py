"""The package: the unit of deployment, a directory with a manifest and plain ONNX files."""

from splitnet.package.manifest import (
    FORMAT_VERSION,
    MAX_PLANS,
    MAX_VERSION,
    MODEL_NAME,
    Alternative,
    CalibrationEntry,
    ExitEntry,
    FileEntry,
    Manifest,
    ModelEntry,
    PlanEntry,
    SegmentEntry,
    TensorEntry,
    VerificationEntry,
    WeightsEntry,
    WireEntry,
    WireTensor,
)
from splitnet.package.reader import Package, open_package, read_manifest
from splitnet.package.writer import Content, check_target, write_package

__all__ = [
    "FORMAT_VERSION",
    "MAX_PLANS",
    "MAX_VERSION",
    "MODEL_NAME",
    "Alternative",
    "CalibrationEntry",
    "Content",
    "ExitEntry",
    "FileEntry",
    "Manifest",
    "ModelEntry",
    "Package",
    "PlanEntry",
    "SegmentEntry",
    "TensorEntry",
    "VerificationEntry",
    "WeightsEntry",
    "WireEntry",
    "WireTensor",
    "check_target",
    "open_package",
    "read_manifest",
    "write_package",
]
