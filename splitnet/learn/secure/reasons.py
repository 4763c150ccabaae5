"""Why a step of a secure sum is refused: one name for each cause, the same on devices and server."""

from enum import StrEnum

from splitnet.errors import RefusalError


class Reason(StrEnum):
    """The names in `RefusalError.reason`; docs/secure-sum.md says who refuses what."""

    MALFORMED = "malformed"
    WRONG_LEG = "wrong-leg"
    ANOTHER_ROUND = "another-round"
    ANOTHER_MODEL = "another-model"
    ANOTHER_CONFIG = "another-config"
    REPLAYED = "replayed"
    UNPINNED = "unpinned"
    BAD_SIGNATURE = "bad-signature"
    SWAPPED_KEY = "swapped-key"
    LOW_THRESHOLD = "low-threshold"
    TOO_FEW_PEERS = "too-few-peers"
    TOO_FEW_SURVIVORS = "too-few-survivors"
    NEIGHBOURHOOD = "neighbourhood"
    OVERLAPPING_SETS = "overlapping-sets"
    SETS_DIFFER = "sets-differ"
    SECOND_UNMASK = "second-unmask"
    BAD_CIPHERTEXT = "bad-ciphertext"
    BAD_SHARE = "bad-share"
    BAD_LENGTH = "bad-length"
    NOT_FINITE = "not-finite"
    TOO_LARGE = "too-large"
    OUT_OF_RANGE = "out-of-range"
    OVERFLOW = "overflow"
    ABSENT = "absent"


def refusal(reason: Reason, message: str) -> RefusalError:
    """Return the error to raise for `reason`; `message` is for people and holds no secret."""
    return RefusalError(message, reason=reason.value)
