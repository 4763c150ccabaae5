"""What a device checks before it masks and before it helps to open: sets large enough, the same for all."""

from splitnet.learn.secure.admission import check_peers
from splitnet.learn.secure.context import DIGEST_BYTES
from splitnet.learn.secure.derivation import survivors_digest, view_digest
from splitnet.learn.secure.envelope import Kind
from splitnet.learn.secure.messages import Confirm, Ids, Masked, Relay, Survivors, Table
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.seat import Seat


def check_sharers(seat: Seat, relay: Relay) -> None:
    """Check who sent shares.

    Raises:
        RefusalError: this device is missing or a stranger is there (sets-differ), they are too few (too-few-peers,
            too-few-survivors, neighbourhood), or the boxes are not those of its neighbours (neighbourhood).
    """
    sharers = set(relay.sharers)
    if seat.id not in sharers or not sharers <= seat.graph.devices.keys():
        raise refusal(
            Reason.SETS_DIFFER, "those who sent shares: this device is missing, or one is not in the round"
        )
    check_peers(seat.party, len(sharers) - 1, "sent shares")
    seat.graph.check_alive(sharers)
    if relay.boxes.keys() != sharers & set(seat.neighbours):
        raise refusal(
            Reason.NEIGHBOURHOOD, "sealed shares: expected those of each neighbour that sent any, no others"
        )


def check_survivors(seat: Seat, sharers: Ids, told: Survivors) -> None:
    """Check whose vectors the server has, and that their neighbours were shown the same sharers.

    Args:
        seat: who checks.
        sharers: who sent shares, as this device was told before.
        told: what the server says now.

    Raises:
        RefusalError: survivors and dead overlap (overlapping-sets) or are not the sharers (sets-differ); too few
            survive (too-few-peers, too-few-survivors, neighbourhood); a neighbour did not sign this view
            (sets-differ).
    """
    survivors, dead = set(told.survivors), set(told.dead)
    if survivors & dead:
        raise refusal(Reason.OVERLAPPING_SETS, f"devices {sorted(survivors & dead)[:3]}: both survivors and dead")
    if survivors | dead != set(sharers) or seat.id not in survivors:
        raise refusal(
            Reason.SETS_DIFFER,
            "survivors and dead: expected everyone who sent shares, this device among the survivors",
        )
    check_peers(seat.party, len(survivors) - 1, "survive")
    seat.graph.check_alive(survivors)
    if told.statements.keys() != set(seat.neighbours) & survivors:
        raise refusal(Reason.SETS_DIFFER, "statements: expected one of each neighbour that survives")
    view = view_digest(seat.graph, sharers)
    for device, statement in told.statements.items():
        payload = Masked(view, statement[:DIGEST_BYTES]).to_bytes()
        seat.check_signed(Kind.MASKED, device, payload, statement[DIGEST_BYTES:])


def confirmation(seat: Seat, sharers: Ids, survivors: Ids) -> Confirm:
    """Return what a device signs for these sets."""
    return Confirm(view_digest(seat.graph, sharers), survivors_digest(survivors))


def check_confirmations(seat: Seat, sharers: Ids, survivors: Ids, signatures: Table) -> None:
    """Check that the threshold of survivors, this device among them, signed these sets.

    Raises:
        RefusalError: fewer did, or others (sets-differ).
    """
    others = signatures.keys() - {seat.id}
    needed = seat.graph.threshold - 1
    if not others <= set(survivors) or len(others) < needed:
        raise refusal(
            Reason.SETS_DIFFER,
            f"{len(others)} other devices confirmed the survivors: expected {needed} or more, all survivors",
        )
    payload = confirmation(seat, sharers, survivors).to_bytes()
    for device, signature in signatures.items():
        seat.check_signed(Kind.CONFIRM, device, payload, signature)
