"""What every tier program is made of: stages of a package, the way up, models served to the tier below."""

from splitnet.tier.dataplane import ServedModel, TierDataPlane
from splitnet.tier.forward import Upstream, answers_from
from splitnet.tier.program import OnListening, ServingTier, run_until_signalled
from splitnet.tier.stages import SegmentLoader, own_stage, stages_up_to, warm_up

__all__ = [
    "OnListening",
    "SegmentLoader",
    "ServedModel",
    "ServingTier",
    "TierDataPlane",
    "Upstream",
    "answers_from",
    "own_stage",
    "run_until_signalled",
    "stages_up_to",
    "warm_up",
]
