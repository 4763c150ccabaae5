"""What a device checks before it takes part: the rules, who else is in the round, that their keys are theirs."""

import hashlib

from splitnet.learn.secure.encoding import Encoding
from splitnet.learn.secure.envelope import Envelope, Kind
from splitnet.learn.secure.messages import Advertise, Peers, Table
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.rules import Party, RoundRules
from splitnet.learn.secure.seat import Seat


def check_rules(party: Party, rules: RoundRules) -> None:
    """Check the rules against the device's own policy.

    Raises:
        RefusalError: the threshold is one half, or below the device's own (low-threshold).
    """
    if not max(party.policy.least_threshold, 0.5) <= rules.threshold <= 1 or rules.threshold == 0.5:
        raise refusal(
            Reason.LOW_THRESHOLD,
            f"threshold {rules.threshold}: expected {party.policy.least_threshold} to 1 and above one half",
        )


def check_peers(party: Party, others: int, what: str) -> None:
    """Check that enough other devices are in a set.

    Raises:
        RefusalError: fewer than the device's own minimum (too-few-peers).
    """
    if others < party.policy.least_peers:
        raise refusal(
            Reason.TOO_FEW_PEERS,
            f"{others} other devices {what}: this device takes part with {party.policy.least_peers} or more",
        )


def check_roster(party: Party, peers: Peers, own_digest: bytes, encoding: Encoding) -> None:
    """Check the list of everyone in the round.

    Raises:
        RefusalError: this device is not in it, or with another key (swapped-key); a device is not enrolled
            (unpinned); they are too few (too-few-peers), or more than the encoding has room for (overflow).
    """
    if peers.devices.get(party.id) != own_digest:
        raise refusal(Reason.SWAPPED_KEY, f"device {party.id}: this device sent other keys than the server lists")
    strangers = peers.devices.keys() - party.pinned.keys()
    if strangers:
        raise refusal(Reason.UNPINNED, f"devices {sorted(strangers)[:3]}: not in the roster of this cohort")
    check_peers(party, len(peers.devices) - 1, "in the round")
    if len(peers.devices) > encoding.devices:
        raise refusal(
            Reason.OVERFLOW, f"{len(peers.devices)} devices: the encoding has room for {encoding.devices}"
        )


def neighbours_keys(seat: Seat, encoding: Encoding, advertised: tuple[bytes, ...]) -> Table:
    """Check the neighbours' advertisements and return their public keys.

    Returns:
        Mask key and seal key, 64 bytes, by id.

    Raises:
        RefusalError: they are not the neighbours that the graph has (neighbourhood); one is not what the list says
            (swapped-key), not signed by its pinned key (bad-signature), of another round, model, configuration or
            encoding.
    """
    keys: Table = {}
    for data in advertised:
        envelope = Envelope.from_bytes(data)
        envelope.expect(seat.context, Kind.ADVERTISE)
        envelope.verify(seat.party.pinned)
        if hashlib.sha256(data).digest() != seat.graph.devices.get(envelope.sender):
            raise refusal(Reason.SWAPPED_KEY, f"device {envelope.sender}: other keys than the server lists for it")
        message = Advertise.from_bytes(envelope.payload)
        if message.encoding_digest != encoding.digest:
            raise refusal(Reason.ANOTHER_CONFIG, f"device {envelope.sender}: it was told another encoding")
        keys[envelope.sender] = message.mask_key + message.seal_key
    if tuple(sorted(keys)) != seat.neighbours:
        raise refusal(
            Reason.NEIGHBOURHOOD,
            f"keys of {len(keys)} neighbours: expected those of the {len(seat.neighbours)} that "
            "the round's keys decide",
        )
    return keys
