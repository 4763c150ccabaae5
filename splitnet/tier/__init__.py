"""What every tier program is made of: stages of a package, the way up, the versions served to the tier below."""

from splitnet.tier.dataplane import TierDataPlane
from splitnet.tier.folder import PackageFolder
from splitnet.tier.forward import Upstream, answers_from
from splitnet.tier.loading import Loader
from splitnet.tier.program import OnListening, ServingTier, run_until_signalled
from splitnet.tier.stages import SegmentLoader, own_stage, stages_up_to, warm_up
from splitnet.tier.uplink import Uplink
from splitnet.tier.versions import ServedModel, ServedVersion, Versions, check_successor

__all__ = [
    "Loader",
    "OnListening",
    "PackageFolder",
    "SegmentLoader",
    "ServedModel",
    "ServedVersion",
    "ServingTier",
    "TierDataPlane",
    "Uplink",
    "Upstream",
    "Versions",
    "answers_from",
    "check_successor",
    "own_stage",
    "run_until_signalled",
    "stages_up_to",
    "warm_up",
]
