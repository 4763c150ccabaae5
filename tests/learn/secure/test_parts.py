"""The parts of the protocol by themselves: secret sharing, masks, the graph, the encoding's budget."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import InvalidArgumentError, RefusalError
from splitnet.learn.secure import Contribution, DevicePolicy, Encoding, Metric, Reason, RoundContext, RoundRules
from splitnet.learn.secure.contribution import decode, encode
from splitnet.learn.secure.graph import FAILURE_BITS, Graph, _failure_bits, neighbours_needed
from splitnet.learn.secure.ring import Mask, add_masks
from splitnet.learn.secure.shamir import PRIME, combine, recover, split
from tests.learn.secure.fleet import CONTEXT, seeded


def test_the_field_is_a_prime_field() -> None:
    """Miller-Rabin with 40 bases: a composite passes with probability 2^-80."""
    odd, twos = PRIME - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in range(2, 42):
        powers = [pow(base, odd * 2**each, PRIME) for each in range(twos)]
        assert powers[0] == 1 or PRIME - 1 in powers


@settings(max_examples=50)
@given(st.binary(min_size=32, max_size=32), st.integers(1, 12), st.data())
def test_any_threshold_of_shares_gives_the_secret(secret: bytes, threshold: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(threshold, 15))
    shares = dict(enumerate(split(secret, threshold, count, random=seeded("s")), start=1))
    chosen = data.draw(st.permutations(sorted(shares)))[:threshold]
    assert combine({x: shares[x] for x in chosen}, threshold) == secret


def test_one_share_too_few_fits_every_secret() -> None:
    """With t - 1 shares and any other secret there is a polynomial: the shares tell nothing."""
    shares = dict(enumerate(split(b"s" * 32, 3, 5, random=seeded("s")), start=1))
    for guess in (b"a" * 32, b"b" * 32, bytes(32)):
        # Shares of the guess that agree with the first two: a line through (0, guess) and both exists.
        known = {0: guess + b"\x00", 1: shares[1], 2: shares[2]}
        at = {x: int.from_bytes(share, "little") for x, share in known.items()}
        coefficient = (at[2] - 2 * at[1] + at[0]) * pow(2, -1, PRIME) % PRIME
        slope = (at[1] - at[0] - coefficient) % PRIME
        assert (at[0] + slope + coefficient) % PRIME == at[1]
        assert (at[0] + 2 * slope + 4 * coefficient) % PRIME == at[2]


def test_wrong_shares_are_left_out() -> None:
    secret = b"s" * 32
    shares = dict(enumerate(split(secret, 6, 9, random=seeded("s")), start=1))
    shares[2] = shares[7] = bytes(33)
    found, wrong = recover(shares, 6, lambda guess: guess == secret)
    assert (found, wrong) == (secret, frozenset({2, 7}))
    for few, reason in ((range(1, 6), Reason.TOO_FEW_SURVIVORS), (range(1, 7), Reason.BAD_SHARE)):
        with pytest.raises(RefusalError) as caught:
            recover({x: shares[x] for x in few}, 6, lambda guess: guess == secret)
        assert caught.value.reason == reason


def test_the_keystream_is_chacha20() -> None:
    """RFC 8439, appendix A.1, test vectors 1 and 2: the key of zeros, blocks 0 and 1."""
    block = bytes.fromhex(
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"
    )
    for dtype in ("<u4", "<u8"):
        ring = np.zeros(128 // np.dtype(dtype).itemsize, dtype)
        add_masks(ring, [Mask(bytes(32))])
        assert ring.tobytes() == block


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 300_000), st.sampled_from(["<u4", "<u8"]), st.data())
def test_masks_cancel_in_any_parts(size: int, dtype: str, data: st.DataObject) -> None:
    keys = [bytes([each]) * 32 for each in range(3)]
    ring = np.arange(size).astype(dtype)
    expected = ring.copy()
    add_masks(ring, [Mask(key) for key in keys])
    assert size < 4 or not np.array_equal(ring, expected)
    step = 64 // ring.itemsize
    cut = data.draw(st.integers(0, size // step)) * step
    for first, part in ((0, ring[:cut]), (cut, ring[cut:])):
        add_masks(part, [Mask(key, subtracted=True) for key in keys], start=first)
    assert np.array_equal(ring, expected)


def members(count: int) -> dict[str, bytes]:
    return {f"{number:016x}": number.to_bytes(32, "little") for number in range(1, count + 1)}


@pytest.mark.parametrize("count", [2, 3, 50, 51, 60, 100, 333, 1000])
def test_neighbours_are_mutual_and_as_many_as_needed(count: int) -> None:
    graph = Graph(CONTEXT, members(count), RoundRules())
    neighbours = {device: set(graph.neighbours(device)) for device in graph.devices}
    assert {len(each) for each in neighbours.values()} == {neighbours_needed(count)}
    for device in list(neighbours)[:60]:
        assert device not in neighbours[device]
        assert all(device in neighbours[each] for each in neighbours[device])
    assert 2 * graph.threshold > count
    holders = len(graph.holders(next(iter(neighbours))))
    assert holders < 2 * graph.share_threshold <= 2 * holders
    assert graph.complete is (neighbours_needed(count) == count - 1)


def test_the_number_of_neighbours_grows_slowly() -> None:
    assert [neighbours_needed(count) for count in (50, 200, 1000, 5000)] == [49, 102, 160, 184]


def test_the_order_of_the_ring_depends_on_every_key_and_the_round() -> None:
    devices = members(100)
    graph = Graph(CONTEXT, devices, RoundRules())
    other_key = devices | {"0" * 15 + "1": b"k" * 32}
    another = RoundContext("run", 4, 0, "north", b"m" * 32, b"c" * 32)
    orders = [graph._order]
    orders += [Graph(CONTEXT, other_key, RoundRules())._order, Graph(another, devices, RoundRules())._order]
    assert len({tuple(order) for order in orders}) == 3


def test_survivors_of_a_sparse_graph_stay_connected_without_the_corrupted() -> None:
    """Drop as many as a window bears, corrupt as many as the bound allows: the honest rest is one piece."""
    graph = Graph(CONTEXT, members(200), RoundRules(threshold=0.51))
    order, half = graph._order, graph._half
    alive = set(order)
    for first in range(0, 200 - half, half):
        alive -= set(order[first : first + (half - 1) // 2])
    graph.check_alive(alive)
    honest = [device for device in order if device in alive]
    honest = [device for place, device in enumerate(honest) if place % 10]
    reached, todo = {honest[0]}, [honest[0]]
    while todo:
        near = set(graph.neighbours(todo.pop())) & set(honest) - reached
        reached |= near
        todo += near
    assert reached == set(honest)
    run = order[20 : 20 + half // 2 + 1]
    with pytest.raises(RefusalError) as caught:
        graph.check_alive(set(order) - set(run))
    assert caught.value.reason == Reason.NEIGHBOURHOOD


def test_the_failure_bound_holds_for_random_rings() -> None:
    """For a window small enough to fail often, the bound is above what is counted."""
    rng = np.random.default_rng(0)
    devices, bad, window, least = 60, 12, 10, 6
    failed = 0
    for _ in range(4000):
        ring = rng.permutation(np.arange(devices) < bad)
        runs = np.convolve(np.concatenate((ring, ring[: window - 1])), np.ones(window), "valid")
        failed += bool(runs.max() >= least)
    bound = 2 ** -_failure_bits(devices, bad, window, least)
    assert 0.01 < failed / 4000 <= bound
    assert _failure_bits(200, 20, neighbours_needed(200) // 2, neighbours_needed(200) // 4 + 1) >= FAILURE_BITS


def test_the_largest_sum_that_was_planned_fits() -> None:
    for devices, weight, clip in ((2, 1, 1.0), (100, 1000, 1.0), (1000, 1000, 10.0), (7, 3, 1e-3)):
        metric = Metric("loss", -2.0, 5.0)
        encoding = Encoding.plan(
            parameters=2, devices=devices, clip=clip, most_weight=weight, metrics=(metric,), error=1.0
        )
        assert encoding.bits == 32
        for sign in (1.0, -1.0):
            delta = np.array([sign * clip, 0.0], np.float32)
            one = encode(encoding, Contribution(delta, weight, {"loss": 5.0 if sign > 0 else -2.0}))
            summed = (one.astype(np.uint64) * devices).astype(np.uint32)
            opened = decode(encoding, summed, tuple(f"{each:016x}" for each in range(devices)))
            assert opened.total[0] == pytest.approx(sign * clip * weight * devices, rel=1e-3)
            assert opened.weight == devices * weight
            assert opened.metrics["loss"] == pytest.approx((5.0 if sign > 0 else -2.0) * devices * weight)
        # One bit more would not fit.
        assert devices * weight * clip * encoding.scale * 2 * 1.001 >= 2**31 - 2 - devices


@settings(max_examples=60)
@given(
    st.integers(2, 2000),
    st.integers(1, 10**5),
    st.floats(1e-4, 1e4),
    st.floats(0, 1e6),
    st.sampled_from([1e-9, 1e-3, 1.0]),
)
def test_a_plan_never_overflows(devices: int, weight: int, clip: float, noise: float, error: float) -> None:
    try:
        encoding = Encoding.plan(
            parameters=1, devices=devices, clip=clip, most_weight=weight, noise_std=noise, error=error
        )
    except RefusalError:
        # What 64 bits cannot hold.
        assert (devices * weight * clip + 9 * noise + 1) / error > 2**60
        return
    largest = devices * (weight * clip * 1.0001 * encoding.scale + 0.5) + 9 * noise * encoding.scale
    assert largest < 2 ** (encoding.bits - 1)
    assert devices * weight < 2 ** (encoding.bits - 1)
    assert 0.5 / encoding.scale <= error


@pytest.mark.parametrize(
    "asked", [{"clip": 1e300}, {"clip": 1e308}, {"most_weight": 2**60}, {"noise_std": 1e300}, {"error": 1e-16}]
)
def test_a_round_that_could_overflow_does_not_begin(asked: dict[str, object]) -> None:
    usual: dict[str, object] = {"parameters": 1, "devices": 1000, "clip": 1.0, "most_weight": 10}
    with pytest.raises(RefusalError) as caught:
        Encoding.plan(**(usual | asked))  # type: ignore[arg-type]  # one of several
    assert caught.value.reason == Reason.OVERFLOW


@pytest.mark.parametrize(
    "asked",
    [
        {"clip": 0.0},
        {"clip": math.nan},
        {"most_weight": 0},
        {"devices": 1},
        {"devices": 70_000},
        {"parameters": 0},
        {"metrics": (Metric("m", 0, 1), Metric("m", 0, 2))},
    ],
)
def test_plans_of_nonsense(asked: dict[str, object]) -> None:
    usual: dict[str, object] = {"parameters": 1, "devices": 10, "clip": 1.0, "most_weight": 10}
    with pytest.raises(InvalidArgumentError):
        Encoding.plan(**(usual | asked))  # type: ignore[arg-type]  # one of several


def test_values_out_of_their_range() -> None:
    for wrong in (
        lambda: Metric("m", 1.0, 1.0),
        lambda: RoundContext("r" * 101, 0, 0, "", b"m" * 32, b"c" * 32),
        lambda: RoundContext("r", 2**32, 0, "", b"m" * 32, b"c" * 32),
        lambda: RoundContext("r", 0, 0, "", b"m", b"c" * 32),
        lambda: DevicePolicy(least_peers=0),
        lambda: DevicePolicy(least_threshold=0.4),
        lambda: RoundRules(neighbours=-1),
    ):
        with pytest.raises(InvalidArgumentError):
            wrong()


def test_plans_that_differ_have_other_digests() -> None:
    usual = {"parameters": 5, "devices": 10, "clip": 1.0, "most_weight": 10}
    plans = [Encoding.plan(**usual)]  # type: ignore[arg-type]  # numbers
    plans += [
        Encoding.plan(**(usual | {key: 2 * value}))  # type: ignore[arg-type]  # numbers
        for key, value in usual.items()
    ]
    plans.append(Encoding.plan(**usual, metrics=(Metric("m", 0, 1),)))  # type: ignore[arg-type]  # numbers
    assert len({plan.digest for plan in plans}) == len(plans)
