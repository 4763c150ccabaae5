"""Whole rounds: the opened sum is the plain sum of those who survive, whoever drops out at whichever leg."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import RefusalError
from splitnet.learn.secure import Contribution, DevicePolicy, Encoding, Leg, Opened, Reason, RoundRules
from splitnet.learn.secure.device_state import DeviceState, Stage
from splitnet.learn.secure.graph import neighbours_needed
from tests.learn.secure.fleet import Fleet, Run, fleet

#: Legs at which a device can be lost; the first two leave no mask behind.
LEGS = (Leg.ADVERTISE, Leg.SHARES, Leg.MASKED, Leg.CONFIRM, Leg.UNMASK)


def holds_the_sum(opened: Opened, devices: Fleet) -> None:
    rounding = 0.5 * len(opened.devices) / devices.encoding.scale
    assert np.abs(opened.total - devices.plain_sum(opened.devices)).max() <= rounding
    given = [devices.contributions[each] for each in opened.devices]
    assert opened.weight == sum(each.weight for each in given)
    metric_rounding = 0.5 * len(given) / 2.0 ** devices.encoding.metric_exponents[0]
    expected = sum(each.weight * each.metrics["loss"] for each in given)
    assert abs(opened.metrics["loss"] - expected) <= metric_rounding


@pytest.mark.parametrize("count", [3, 4, 9])
def test_the_sum_of_all_is_opened(count: int) -> None:
    devices = fleet(count)
    run = Run(devices)
    opened = run.finish()
    assert opened.devices == tuple(devices.ids)
    assert run.server.dropped == {}
    holds_the_sum(opened, devices)
    given = [devices.contributions[each] for each in devices.ids]
    mean = np.average([each.delta for each in given], axis=0, weights=[each.weight for each in given])
    assert np.abs(opened.mean - mean).max() < 1e-5


@pytest.mark.parametrize("leg", LEGS)
def test_devices_may_be_lost_at_every_leg_down_to_the_threshold(leg: Leg) -> None:
    devices = fleet(9)
    lost = devices.ids[1:4]
    opened = Run(devices, {leg: lost}).finish(threads=2)
    in_the_sum = [each for each in devices.ids if leg > Leg.MASKED or each not in lost]
    assert opened.devices == tuple(in_the_sum)
    holds_the_sum(opened, devices)


@pytest.mark.parametrize("leg", LEGS[1:])
def test_one_more_ends_the_round_by_name_with_nothing_revealed(leg: Leg) -> None:
    devices = fleet(9)
    run = Run(devices, {leg: devices.ids[:4]})
    with pytest.raises(RefusalError) as caught:
        run.finish()
    assert caught.value.reason == Reason.TOO_FEW_SURVIVORS
    # Fewer than the threshold of shares were given out, so no secret can be put together.
    assert len(run.sent.get(Leg.UNMASK, {})) < 6


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_whoever_drops_out_whenever(data: st.DataObject) -> None:
    count = data.draw(st.integers(3, 8))
    devices = fleet(count, seed=data.draw(st.integers(0, 3)))
    lost = data.draw(st.lists(st.sampled_from(devices.ids), unique=True, max_size=count // 3))
    when = {device: data.draw(st.sampled_from(LEGS[1:])) for device in lost}
    run = Run(devices, {leg: [each for each in lost if when[each] is leg] for leg in LEGS})
    opened = run.finish()
    assert set(opened.devices) == {each for each in devices.ids if when.get(each, Leg.DONE) > Leg.MASKED}
    holds_the_sum(opened, devices)


def test_two_hundred_devices_share_with_some_of_them() -> None:
    devices = fleet(200)
    lost = devices.ids[::12]
    run = Run(devices, {Leg.SHARES: lost[:8], Leg.MASKED: lost[8:]})
    opened = run.finish()
    assert opened.devices == tuple(each for each in devices.ids if each not in lost)
    holds_the_sum(opened, devices)
    assert neighbours_needed(200) < 120


def test_words_of_64_bits() -> None:
    devices = fleet(3)
    devices.encoding = Encoding.plan(
        parameters=40, devices=3, clip=1.0, most_weight=100, metrics=devices.encoding.metrics, error=1e-12
    )
    run = Run(devices)
    opened = run.finish()
    assert {ring.dtype for ring in run.vectors.values()} == {np.dtype("uint64")}
    holds_the_sum(opened, devices)
    assert np.abs(opened.total - devices.plain_sum(opened.devices)).max() < 1e-11


def test_noise_joins_the_sum() -> None:
    devices = fleet(3)
    rng = np.random.default_rng(0)
    plain = Run(devices).finish()
    noisy = fleet(3)
    added = np.zeros(40, np.int64)
    for device, own in noisy.contributions.items():
        noise = rng.integers(-500, 500, 40)
        added += noise
        noisy.contributions[device] = Contribution(own.delta, own.weight, own.metrics, noise)
    opened = Run(noisy).finish()
    assert np.array_equal(opened.total - plain.total, added / devices.encoding.scale)
    assert opened.weight == plain.weight


def test_secrets_are_overwritten() -> None:
    run = Run(fleet(3)).to(Leg.SHARES)
    device = run.fleet.ids[0]
    run.to(Leg.MASKED)
    state = run.devices[device]._state
    assert all((state.mask_key, state.seal_key, state.seed))
    run.leg()
    masked = run.devices[device]._state
    assert not any((masked.mask_key, masked.seal_key, masked.seed))
    run.inbox = run.server.advance()
    run.to(Leg.UNMASK)
    assert len(run.devices[device]._state.shares) == 3
    run.leg()
    assert run.devices[device].stage is Stage.DONE
    assert not run.devices[device]._state.shares


def test_a_secret_is_zeroed_before_it_is_forgotten() -> None:
    zeroed = []

    class Watched(bytearray):
        def clear(self) -> None:
            zeroed.append(bytes(self))
            super().clear()

    state = DeviceState(Stage.SHARED, Watched(b"m" * 32), Watched(b"s" * 32), Watched(b"r" * 32))
    state.shares = {"aa" * 8: Watched(b"h" * 66)}
    state.wipe()
    assert zeroed == [bytes(32), bytes(32), bytes(32), bytes(66)]


def test_a_threshold_near_one_half_lets_almost_half_drop_out() -> None:
    devices = fleet(9, rules=RoundRules(threshold=0.51), policy=DevicePolicy(least_threshold=0.5))
    opened = Run(devices, {Leg.MASKED: devices.ids[:4]}).finish()
    assert len(opened.devices) == 5
    holds_the_sum(opened, devices)
