"""What every tier program is made of: stages of a package, the way up, the versions served to the tier below."""

from splitnet.tier.cache import AnswerCache, KeptResponses, Question
from splitnet.tier.dataplane import TierDataPlane
from splitnet.tier.folder import PackageFolder
from splitnet.tier.forward import Upstream, answers_from
from splitnet.tier.loading import Loader
from splitnet.tier.program import OnListening, ServingTier, run_until_signalled
from splitnet.tier.served import ServedModel
from splitnet.tier.stages import SegmentLoader, own_stage, plans_that_fit, stages_up_to
from splitnet.tier.uplink import Uplink
from splitnet.tier.versions import ServedVersion, Versions, check_successor

__all__ = [
    "AnswerCache",
    "KeptResponses",
    "Loader",
    "OnListening",
    "PackageFolder",
    "Question",
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
    "plans_that_fit",
    "run_until_signalled",
    "stages_up_to",
]
