"""What a server that records everything sees: vectors that look uniform, sums, and nothing else of any device."""

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from splitnet.learn.secure import Contribution, Leg, RoundContext
from splitnet.learn.secure.contribution import encode
from splitnet.learn.secure.derivation import own_mask, pair_mask
from splitnet.learn.secure.envelope import Envelope
from splitnet.learn.secure.keys import load, public_key
from splitnet.learn.secure.messages import Masked
from splitnet.learn.secure.ring import KEY_BYTES, Mask, Ring, add_masks
from tests.learn.secure.fleet import CONTEXT, Run, encoding_of, fleet, seeded

#: Long enough for bytes to be counted.
PARAMETERS = 20_000
#: Chi-square with 255 degrees of freedom exceeds this with probability 1e-9 (Wilson-Hilferty: z = 6).
MOST = 255 * (1 - 2 / (9 * 255) + 6 * (2 / (9 * 255)) ** 0.5) ** 3

Generator = Callable[[bytes, int], NDArray[np.uint32]]


def chi_square(ring: Ring) -> float:
    """Return how far the bytes of a vector are from uniform, the worst of the four places in a word."""
    places = ring.view(np.uint8).reshape(len(ring), -1).T
    expected = len(ring) / 256
    return max(float(((np.bincount(place, minlength=256) - expected) ** 2 / expected).sum()) for place in places)


def recorded(seed: int, change: Callable[[dict[str, Contribution]], None] = lambda _: None) -> Run:
    devices = fleet(5, seed=seed)
    devices.encoding = encoding_of(5, PARAMETERS)
    rng = np.random.default_rng(7)
    for device in devices.ids:
        delta = rng.normal(size=PARAMETERS).astype(np.float32)
        delta *= np.float32(0.4 / np.linalg.norm(delta))
        devices.contributions[device] = Contribution(delta, 10, {"loss": 4.0})
    change(devices.contributions)
    run = Run(devices)
    run.finish()
    return run


def moved(contributions: dict[str, Contribution]) -> None:
    """Move updates, a weight and a metric from device to device: other contributions, the same sums."""
    one, two, *_ = sorted(contributions)
    first, second = contributions[one], contributions[two]
    contributions[one] = replace(first, delta=second.delta, metrics={"loss": 3.0})
    contributions[two] = replace(second, delta=first.delta, metrics={"loss": 5.0})


def test_masked_vectors_pass_a_uniformity_test() -> None:
    run = recorded(0)
    for device, ring in run.vectors.items():
        assert chi_square(ring) < MOST
        assert chi_square(ring - encode(run.fleet.encoding, run.fleet.contributions[device])) < MOST
    together = np.add.reduce(list(run.vectors.values()))
    assert chi_square(together.astype(np.uint32)) < MOST
    # The same test sees what is not masked, and masks of a generator that is a bit off.
    plain = encode(run.fleet.encoding, run.fleet.contributions[run.fleet.ids[0]])
    assert chi_square(plain) > 100 * MOST
    rng = np.random.default_rng(0)
    off_by_one_in_128 = rng.integers(0, 2**32 - 2**25, len(plain), dtype=np.uint32)
    assert chi_square(plain + off_by_one_in_128) > MOST


def test_updates_of_equal_sum_leave_transcripts_that_differ_only_in_masked_words() -> None:
    """With the same randomness, all bytes but the vectors, their digests and signatures over those are equal."""
    one, other = recorded(0), recorded(0, moved)
    for leg in (Leg.ADVERTISE, Leg.SHARES, Leg.CONFIRM, Leg.UNMASK):
        assert one.sent[leg] == other.sent[leg]
    for leg in (Leg.SHARES, Leg.MASKED, Leg.UNMASK):
        assert one.told[leg] == other.told[leg]
    for device in one.fleet.ids:
        mine, theirs = (Envelope.from_bytes(run.sent[Leg.MASKED][device]) for run in (one, other))
        views = [Masked.from_bytes(each.payload).view for each in (mine, theirs)]
        assert replace(mine, payload=b"", signature=b"") == replace(theirs, payload=b"", signature=b"")
        assert views[0] == views[1]
    # The server's own masks come off; what is left is random but for its sum, which is the same.
    assert np.array_equal(one.server._sum, other.server._sum)


def left_with_the_server(run: Run) -> dict[str, Ring]:
    """Return what the masked vectors are once the masks that a round reveals, the devices' own, are taken off."""
    left = {}
    for device, ring in run.vectors.items():
        view = Masked.from_bytes(Envelope.from_bytes(run.sent[Leg.MASKED][device]).payload).view
        random = seeded_again(device)
        _mask_key, _seal_key, seed = (random(KEY_BYTES) for _ in range(3))
        left[device] = ring.copy()
        add_masks(left[device], [replace(own_mask(CONTEXT, view, device, seed), subtracted=True)])
    return left


def seeded_again(device: str) -> Callable[[int], bytes]:
    return seeded(f"0 {device}")


def test_what_is_left_once_the_revealed_masks_are_off_is_uniform_too() -> None:
    one, other = (left_with_the_server(recorded(0, change)) for change in (lambda _: None, moved))
    for device in one:
        assert chi_square(one[device]) < MOST
        assert chi_square(other[device]) < MOST
    sums = [np.add.reduce(list(each.values())).astype(np.uint32) for each in (one, other)]
    assert np.array_equal(sums[0], sums[1])
    # That sum is the opened one: it is what anybody may see, and it does not look random.
    assert chi_square(sums[0]) > 100 * MOST


def test_two_rounds_with_the_same_update_share_no_word() -> None:
    one, other = recorded(0), recorded(1)
    for mine, theirs in zip(one.vectors.values(), other.vectors.values(), strict=True):
        assert np.count_nonzero(mine == theirs) <= 2
        assert chi_square(mine - theirs) < MOST


def test_no_message_holds_a_plain_update_weight_or_metric() -> None:
    devices = fleet(5)
    devices.encoding = encoding_of(5, PARAMETERS)
    rng = np.random.default_rng(7)
    for device in devices.ids:
        delta = rng.normal(size=PARAMETERS).astype(np.float32)
        delta /= np.float32(1.1 * np.linalg.norm(delta))
        devices.contributions[device] = Contribution(delta, 87, {"loss": 5.4321})
    run = Run(devices)
    run.finish()
    said = [message for leg in run.sent.values() for message in leg.values()]
    said += [message for leg in run.told.values() for message in leg.values()]
    states = [device.to_bytes() for device in run.devices.values()]
    for device, given in devices.contributions.items():
        words = encode(devices.encoding, given)
        assert np.count_nonzero(run.vectors[device] == words) <= 1
        assert run.vectors[device][PARAMETERS] != given.weight
        secrets = [given.delta[first : first + 2].tobytes() for first in range(0, PARAMETERS, 2)]
        secrets += [words[first : first + 2].tobytes() for first in range(0, len(words) - 1, 2)]
        secrets += [struct.pack(form, 5.4321) for form in ("<f", "<d", ">f", ">d")] + [b"5.4321"]
        everything = b"".join([*said, *states, run.vectors[device].tobytes()])
        # Words of 8 bytes at any place: looked up among all that were said, instead of searched one by one.
        windows = {everything[at : at + 8] for at in range(len(everything) - 7)}
        assert not windows & {each for each in secrets if len(each) == 8}
        assert not any(each in everything for each in secrets if len(each) != 8)


def chacha20(seed: bytes, size: int) -> NDArray[np.uint32]:
    ring = np.zeros(size, np.uint32)
    add_masks(ring, [Mask(seed)])
    return ring


def folded(seed: bytes, size: int) -> NDArray[np.uint32]:
    """The generator of Flower's SecAgg+: the seed's words folded into 32 bits, for an MT19937."""
    narrow = int(np.bitwise_xor.reduce(np.frombuffer(seed, "<u4")))
    return np.random.RandomState(narrow).randint(0, 2**32 - 1, size, dtype=np.uint32)


def whole_seed_matters(generator: Generator, *, seeds: int = 150_000) -> bool:
    """Tell whether streams differ wherever seeds do.

    First for seeds that differ in one bit, in one bit of two words alike, and in the order of their words; then
    among random seeds, of which 2^32 different streams would make 2.6 pairs equal on average.
    """
    rng = np.random.default_rng(3)
    for bit in range(256):
        seed = np.frombuffer(rng.bytes(KEY_BYTES), "<u4")
        words = seed.copy()
        words[bit // 32] ^= np.uint32(1 << bit % 32)
        both = words.copy()
        both[(bit // 32 + 1) % 8] ^= np.uint32(1 << bit % 32)
        streams = [generator(each.tobytes(), 4) for each in (seed, words, both, seed[::-1].copy())]
        if len({stream.tobytes() for stream in streams}) < len(streams):
            return False
    return len({generator(rng.bytes(KEY_BYTES), 2).tobytes() for _ in range(seeds)}) == seeds


def test_the_whole_seed_matters() -> None:
    assert whole_seed_matters(chacha20)
    assert not whole_seed_matters(folded)


def test_a_narrow_seed_is_found_however_it_is_narrowed() -> None:
    """A hash folds well, so that only equal streams among many give it away."""

    def hashed(seed: bytes, size: int) -> NDArray[np.uint32]:
        narrow = hashlib.sha256(seed).digest()[:4]
        return np.frombuffer(hashlib.sha256(narrow).digest(), "<u4")[:size]

    assert not whole_seed_matters(hashed)


@pytest.mark.parametrize("field", ["run", "round", "attempt", "cohort", "model_digest", "config_digest"])
def test_masks_depend_on_the_whole_context(field: str) -> None:
    changed: dict[str, object] = {"run": "r", "cohort": "s", "model_digest": b"n" * 32, "config_digest": b"d" * 32}
    other: RoundContext = replace(CONTEXT, **{field: changed.get(field, 9)})  # type: ignore[arg-type]  # one of them
    one, two = fleet(2).ids
    private = seeded("p")(32)
    keys = (load(private), public_key(seeded("q")(32)))
    for view in (b"v" * 32, b"w" * 32):
        pairs = {pair_mask(context, view, (one, two), keys).key for context in (CONTEXT, other)}
        own = {own_mask(context, view, one, private).key for context in (CONTEXT, other)}
        assert len(pairs | own) == 4
    mine, theirs = pair_mask(CONTEXT, b"v", (one, two), keys), pair_mask(CONTEXT, b"v", (two, one), keys)
    assert mine.key == theirs.key
    assert mine.subtracted is not theirs.subtracted
