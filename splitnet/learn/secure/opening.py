"""Opening a sum: the secrets that the survivors' shares give back, and the masks that these leave to take off."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from splitnet.errors import RefusalError
from splitnet.learn.secure.context import RoundContext
from splitnet.learn.secure.derivation import own_mask, pair_mask, seed_commitment, view_digest
from splitnet.learn.secure.graph import Graph
from splitnet.learn.secure.keys import load, public_key
from splitnet.learn.secure.messages import Ids, Table, Unmask
from splitnet.learn.secure.reasons import Reason, refusal
from splitnet.learn.secure.ring import BLOCK_BYTES, Mask, Ring, add_masks
from splitnet.learn.secure.shamir import recover

# Threads begin on a block of the keystream, and share out the vector in parts of at least so many words: for less
# their start takes longer than they save (10^5 words, 10 masks: 0.9 ms alone, 1.8 ms in two).
_LEAST_PART = 2**18


@dataclass(frozen=True, slots=True)
class Closed:
    """A round whose vectors are in.

    Attributes:
        context: which sum.
        graph: who shared with whom.
        sharers: who sent shares.
        survivors: whose vectors are in the sum.
        mask_keys: public mask key by device.
        commitments: to the seed, by device.
    """

    context: RoundContext
    graph: Graph
    sharers: Ids
    survivors: Ids
    mask_keys: Table
    commitments: Table

    @property
    def dead(self) -> Ids:
        """Who sent shares and no vector."""
        return tuple(sorted(set(self.sharers) - set(self.survivors)))


@dataclass(slots=True)
class Secrets:
    """What the shares gave back.

    Attributes:
        seeds: of the survivors.
        keys: private mask keys of the dead.
        liars: devices that gave a wrong share of somebody's secret.
    """

    seeds: Table = field(default_factory=dict)
    keys: Table = field(default_factory=dict)
    liars: set[str] = field(default_factory=set)


def expected_shares(closed: Closed, device: str) -> tuple[set[str], set[str]]:
    """Return whose seeds and whose keys a survivor holds shares of."""
    held = {device, *closed.graph.neighbours(device)}
    return held & set(closed.survivors), held & set(closed.dead)


def recover_secrets(closed: Closed, unmasked: Mapping[str, Unmask]) -> Secrets:
    """Put the shares together.

    Args:
        closed: the round.
        unmasked: what each survivor gave out, by id.

    Raises:
        RefusalError: a secret has fewer shares than the threshold (too-few-survivors), or they do not give what
            its device committed to, whichever are left out (bad-share).
    """
    secrets = Secrets()
    for device in closed.survivors:
        shares = {each: given.seeds for each, given in unmasked.items()}
        is_right = _commits(closed, device)
        secrets.seeds[device] = _recover(closed, device, shares, is_right, secrets.liars)
    for device in closed.dead:
        shares = {each: given.keys for each, given in unmasked.items()}
        is_right = _is_key_of(closed, device)
        secrets.keys[device] = _recover(closed, device, shares, is_right, secrets.liars)
    return secrets


def _commits(closed: Closed, device: str) -> Callable[[bytes], bool]:
    return lambda seed: seed_commitment(closed.context, device, seed) == closed.commitments[device]


def _is_key_of(closed: Closed, device: str) -> Callable[[bytes], bool]:
    return lambda private: public_key(private) == closed.mask_keys[device]


def _recover(
    closed: Closed,
    device: str,
    shares: Mapping[str, Table],
    is_right: Callable[[bytes], bool],
    liars: set[str],
) -> bytes:
    holders = closed.graph.holders(device)
    # Who lied about one secret is not asked about the next.
    held = {x: shares[holder][device] for x, holder in _numbered(holders) if holder in shares.keys() - liars}
    try:
        secret, wrong = recover(held, closed.graph.share_threshold, is_right)
    except RefusalError as err:
        raise refusal(Reason(err.reason), f"secret of device {device}: {err}") from err
    liars |= {holders[x - 1] for x in wrong}
    return secret


def _numbered(holders: Ids) -> Iterable[tuple[int, str]]:
    return enumerate(holders, start=1)


def remaining_masks(closed: Closed, secrets: Secrets) -> list[Mask]:
    """Return the masks that are left in the sum of the survivors' vectors, with the signs that take them off."""
    view = view_digest(closed.graph, closed.sharers)
    masks = [own_mask(closed.context, view, device, seed) for device, seed in secrets.seeds.items()]
    left = [Mask(mask.key, subtracted=True) for mask in masks]
    alive = set(closed.survivors)
    for device, private_bytes in secrets.keys.items():
        private = load(private_bytes)
        # As the dead device would have applied it, which is what the survivor's is taken off with.
        left += [
            pair_mask(closed.context, view, (device, peer), (private, closed.mask_keys[peer]))
            for peer in closed.graph.neighbours(device)
            if peer in alive
        ]
    return left


def take_off(ring: Ring, masks: list[Mask], *, threads: int) -> None:
    """Add masks into a vector, in `threads` parts of it at once.

    Args:
        ring: uint32 or uint64 [size], changed in place.
        masks: all of them.
        threads: measured on two cores: 1.6 times as fast with 2 as with 1.
    """
    step = BLOCK_BYTES // ring.itemsize
    part = max(-(-len(ring) // threads // step) * step, _LEAST_PART)
    starts = range(0, len(ring), part)
    if len(starts) == 1:
        add_masks(ring, masks)
        return
    with ThreadPoolExecutor(threads) as pool:
        done = [pool.submit(add_masks, ring[each : each + part], masks, start=each) for each in starts]
        for each in done:
            each.result()
