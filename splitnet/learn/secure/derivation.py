"""What devices and server derive alike: the digests that bind views together, and the masks."""

import hashlib
from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.graph import Graph
from splitnet.learn.secure.keys import agree, commitment, derive
from splitnet.learn.secure.messages import Ids
from splitnet.learn.secure.ring import Mask, Ring
from splitnet.learn.secure.wire import id_list


def view_digest(graph: Graph, sharers: Ids) -> bytes:
    """Return the digest of who is in the round, with which keys, and who sent shares, 32 bytes."""
    return hashlib.sha256(graph.roster_digest + id_list(sharers)).digest()


def survivors_digest(survivors: Iterable[str]) -> bytes:
    """Return the digest of a set of devices, 32 bytes."""
    return hashlib.sha256(id_list(survivors)).digest()


def vector_digest(ring: Ring) -> bytes:
    """Return SHA-256 of a vector's little-endian words, 32 bytes."""
    return hashlib.sha256(ring.data.cast("B")).digest()


def share_info(context: RoundContext, graph: Graph, sender: str, receiver: str) -> bytes:
    """Return what the shares that `sender` seals for `receiver` are bound to."""
    return context.info("share", sender, receiver, graph.roster_digest)


def seed_commitment(context: RoundContext, device: str, seed: bytes | bytearray) -> bytes:
    """Return a device's commitment to the seed of its own mask, 32 bytes."""
    return commitment(seed, context.info("commit", device, device))


def own_mask(context: RoundContext, view: bytes, device: str, seed: bytes | bytearray) -> Mask:
    """Return the mask that a device adds by itself."""
    return Mask(derive(seed, context.info("own mask", device, device, view)))


def pair_mask(
    context: RoundContext, view: bytes, pair: tuple[str, str], keys: tuple[X25519PrivateKey, bytes]
) -> Mask:
    """Return the mask between two devices as the first of them applies it.

    Args:
        context: which sum.
        view: as `view_digest` gives it: a device that was shown other sets derives another mask.
        pair: the device, and its neighbour.
        keys: private mask key of one of them, public mask key of the other.
    """
    low, high = sorted(pair)
    key = agree(*keys, context.info("pair mask", low, high, view))
    return Mask(key, subtracted=pair[0] == high)
