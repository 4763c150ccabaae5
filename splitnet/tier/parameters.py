"""What our tiers say beside the tensors: parameters of requests and responses (docs/protocol.md)."""

from collections.abc import Collection, Mapping
from typing import TypeGuard

from splitnet.deadline import Deadline
from splitnet.errors import PeerProtocolError
from splitnet.link import DEADLINE_PARAMETER, PLAN_PARAMETER, STATUS_NAMES
from splitnet.protocol import Parameter
from splitnet.protocol.quoting import quote
from splitnet.runtime import Answer
from splitnet.tiers import TIERS, Tier

#: Response: the tier that answered; for a batch one name a sample, comma-separated, unless all agree.
EXIT = "splitnet_exit"
#: Response: why a shallower exit answered, a gRPC status name; as `EXIT` for a batch; absent without fallback.
FALLBACK = "splitnet_fallback"
#: Response: a tier had kept it, or some of it, of an earlier request; absent where it was made for this one.
KEPT = "splitnet_kept"
# Response: milliseconds at a tier, computing its segment, and waiting for that, which is absent without a wait.
_COMPUTE: dict[str, str] = {tier: f"splitnet_{tier}_ms" for tier in TIERS}
_QUEUE: dict[str, str] = {tier: f"splitnet_{tier}_queue_ms" for tier in TIERS}
#: Request, and in ServerMetadata.extensions: it is answered at once, with no tensors, whatever it carries; a tier
#: below finds out what the link can do.
PROBE = "splitnet_probe"
#: Request, with `PROBE`: true asks whether a request for that model would find all that its plan needs, there and
#: above; and the response to it.
WAY_UP = "splitnet_way_up"
#: Request, the protocol's own: 1 is the highest, none is left out.
_PRIORITY = "priority"


def request_parameters(plan: str, deadline: Deadline, priority: int = 0) -> dict[str, Parameter]:
    """Return the parameters of a request to the tier above; the deadline is what is left, whole milliseconds."""
    parameters: dict[str, Parameter] = {
        PLAN_PARAMETER: plan,
        DEADLINE_PARAMETER: max(1, int(deadline.remaining_ms())),
    }
    return parameters | {_PRIORITY: priority} if priority else parameters


def answer_parameters(answer: Answer) -> dict[str, Parameter]:
    """Return the parameters of the response that carries `answer`."""
    parameters: dict[str, Parameter] = {EXIT: _joined(answer.exits)}
    if answer.fallback:
        parameters[FALLBACK] = _joined(answer.fallbacks)
    if answer.is_kept:
        parameters[KEPT] = True
    for tier, milliseconds in answer.timings_ms.items():
        parameters[_COMPUTE[tier]] = float(milliseconds)
    for tier, milliseconds in answer.queue_ms.items():
        if milliseconds:
            parameters[_QUEUE[tier]] = float(milliseconds)
    return parameters


def exits_of(parameters: Mapping[str, Parameter], samples: int, asked: Tier) -> tuple[str, ...]:
    """Return who answered each sample; the tier `asked` where it is a foreign server and does not say.

    Raises:
        PeerProtocolError: an entry is neither `asked` nor a tier above it, or there is not one a sample.
    """
    return _split(parameters, EXIT, samples, asked, allowed=TIERS[TIERS.index(asked) :])


def fallbacks_of(parameters: Mapping[str, Parameter], samples: int) -> tuple[str, ...]:
    """Return each sample's fallback reason, "" for none.

    Raises:
        PeerProtocolError: an entry is no gRPC status name, or there is not one a sample.
    """
    return _split(parameters, FALLBACK, samples, "", allowed={"", *STATUS_NAMES})


def timings_of(parameters: Mapping[str, Parameter]) -> dict[str, float]:
    """Return how long each tier computed, as the response tells, milliseconds by tier."""
    return {tier: float(value) for tier, name in _COMPUTE.items() if _is_time(value := parameters.get(name))}


def queue_times_of(parameters: Mapping[str, Parameter]) -> dict[str, float]:
    """Return how long the request waited at each tier that says how long it computed, milliseconds by tier."""
    waits = ((tier, parameters.get(_QUEUE[tier], 0.0)) for tier, name in _COMPUTE.items() if name in parameters)
    return {tier: float(value) for tier, value in waits if _is_time(value)}


def _is_time(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float)


def _joined(entries: tuple[str, ...]) -> str:
    return entries[0] if len(set(entries)) == 1 else ",".join(entries)


def _split(
    parameters: Mapping[str, Parameter], key: str, samples: int, default: str, *, allowed: Collection[str]
) -> tuple[str, ...]:
    text = parameters.get(key, default)
    if not isinstance(text, str):
        raise PeerProtocolError(f"parameter {key!r}: expected text, got {type(text).__name__}")
    entries = tuple(text.split(","))
    if unknown := [entry for entry in entries if entry not in allowed]:
        raise PeerProtocolError(f"parameter {key!r}: expected some of {sorted(allowed)}, got {quote(unknown[0])}")
    if len(entries) == 1:
        return entries * samples
    if len(entries) != samples:
        raise PeerProtocolError(f"parameter {key!r}: {len(entries)} entries for {samples} samples")
    return entries
