"""A device's secrets as sealed shares: those it deals out, and those it gets."""

from splitnet.learn.secure.derivation import share_info
from splitnet.learn.secure.device_state import DeviceState
from splitnet.learn.secure.keys import PUBLIC_KEY_BYTES, agree, load, seal, unseal
from splitnet.learn.secure.messages import Table
from splitnet.learn.secure.seat import Seat
from splitnet.learn.secure.shamir import SHARE_BYTES, split


def seal_shares(seat: Seat, state: DeviceState, keys: Table) -> tuple[Table, bytearray]:
    """Share the seed and the private mask key among the device and its neighbours.

    Args:
        seat: whose.
        state: with its secrets.
        keys: public keys of the neighbours, by id.

    Returns:
        A box for each neighbour, and what the device itself keeps: its share of its seed. Of its mask key it keeps
        none, since that is asked for only when it is gone.
    """
    holders, threshold = seat.graph.holders(seat.id), seat.graph.share_threshold
    random = seat.party.random
    seeds, private = (
        split(secret, threshold, len(holders), random=random) for secret in (state.seed, state.mask_key)
    )
    seal_key = load(state.seal_key)
    boxes, kept = {}, bytearray()
    for holder, seed_share, key_share in zip(holders, seeds, private, strict=True):
        if holder == seat.id:
            kept = bytearray(seed_share + bytes(SHARE_BYTES))
            continue
        info = share_info(seat.context, seat.graph, seat.id, holder)
        key = agree(seal_key, keys[holder][PUBLIC_KEY_BYTES:], info)
        boxes[holder] = seal(key, seed_share + key_share, info, random=random)
    return boxes, kept


def open_shares(seat: Seat, state: DeviceState, boxes: Table) -> dict[str, bytearray]:
    """Return what the neighbours sealed for this device, by id.

    Raises:
        RefusalError: a box was not made by its sender for this device and round (bad-ciphertext).
    """
    opened, seal_key = {}, load(state.seal_key)
    for sender, box in boxes.items():
        info = share_info(seat.context, seat.graph, sender, seat.id)
        key = agree(seal_key, state.peers[sender][PUBLIC_KEY_BYTES:], info)
        opened[sender] = bytearray(unseal(key, box, info, sender=sender))
    return opened
