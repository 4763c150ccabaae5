"""A device that does not follow the protocol is dropped by name, and the others still get their sum."""

from dataclasses import replace

import numpy as np
import pytest

from splitnet.errors import RefusalError
from splitnet.learn.secure import Contribution, Leg, Reason
from splitnet.learn.secure.derivation import vector_digest
from splitnet.learn.secure.envelope import Envelope, Kind, signed_message
from splitnet.learn.secure.messages import Advertise, Masked, Shares, Unmask
from splitnet.tensors import Array
from tests.learn.secure.fleet import CONTEXT, PARAMETERS, Run, fleet


def resign(run: Run, device: str, kind: Kind, payload: bytes) -> bytes:
    return signed_message(CONTEXT, kind, device, payload, sign=run.fleet.parties[device].sign).to_bytes()


def answer_all_but(run: Run, device: str) -> None:
    leg = run.server.leg
    for each in run.inbox or run.fleet.ids:
        if each != device:
            assert run.server.receive(each, run.answer(leg, each), run.vectors.get(each)) is None


def go_on(run: Run) -> None:
    run.inbox = run.server.advance()


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        (np.full(PARAMETERS, np.nan), Reason.NOT_FINITE),
        (np.r_[np.inf, np.zeros(PARAMETERS - 1)], Reason.NOT_FINITE),
        (np.full(PARAMETERS, 3e38), Reason.TOO_LARGE),
        (np.full(PARAMETERS, 1.0), Reason.TOO_LARGE),
        (np.zeros(PARAMETERS - 1), Reason.BAD_LENGTH),
        (np.zeros((PARAMETERS, 1)), Reason.BAD_LENGTH),
    ],
)
def test_an_update_that_must_not_leave_the_device(values: Array, reason: Reason) -> None:
    run = Run(fleet(4)).to(Leg.MASKED)
    device = run.fleet.ids[0]
    given = Contribution(values.astype(np.float32), 5, {"loss": 1.0})
    with pytest.raises(RefusalError) as caught:
        run.devices[device].mask(run.inbox[device], given)
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"weight": 0}, Reason.TOO_LARGE),
        ({"weight": 101}, Reason.TOO_LARGE),
        ({"metrics": {"loss": 11.0}}, Reason.OUT_OF_RANGE),
        ({"metrics": {"loss": float("nan")}}, Reason.OUT_OF_RANGE),
        ({"metrics": {}}, Reason.OUT_OF_RANGE),
        ({"metrics": {"loss": 1.0, "more": 1.0}}, Reason.OUT_OF_RANGE),
        ({"noise": np.zeros(3, np.int64)}, Reason.BAD_LENGTH),
        ({"noise": np.zeros(PARAMETERS)}, Reason.BAD_LENGTH),
        ({"delta": np.zeros(PARAMETERS)}, Reason.BAD_LENGTH),
    ],
)
def test_a_contribution_outside_of_what_was_planned(change: dict[str, object], reason: Reason) -> None:
    run = Run(fleet(4)).to(Leg.MASKED)
    device = run.fleet.ids[0]
    given = replace(run.fleet.contributions[device], **change)  # type: ignore[arg-type]  # some field
    with pytest.raises(RefusalError) as caught:
        run.devices[device].mask(run.inbox[device], given)
    assert caught.value.reason == reason


@pytest.mark.parametrize("leg", [Leg.ADVERTISE, Leg.SHARES, Leg.MASKED, Leg.CONFIRM, Leg.UNMASK])
@pytest.mark.parametrize("fault", ["cut", "flipped", "unsigned", "of another"])
def test_bytes_that_are_wrong_drop_their_sender(leg: Leg, fault: str) -> None:
    run = Run(fleet(6)).to(leg)
    device, other = run.fleet.ids[:2]
    answer_all_but(run, device)
    message = run.answer(leg, device)
    wrong = {
        "cut": message[:-70],
        "flipped": message[:-65] + bytes([message[-65] ^ 1]) + message[-64:],
        "unsigned": message[:-64] + bytes(64),
        "of another": message.replace(bytes.fromhex(device), bytes.fromhex(other), 1),
    }[fault]
    reason = run.server.receive(device, wrong, run.vectors.get(device))
    assert reason in {Reason.BAD_SIGNATURE, Reason.MALFORMED}
    assert run.server.dropped[device].reason is reason
    assert run.server.dropped[device].leg is leg
    if leg is not Leg.UNMASK:
        go_on(run)
    opened = run.server.open() if leg is Leg.UNMASK else run.finish()
    assert (device in opened.devices) is (leg > Leg.MASKED)


def test_a_vector_of_wrong_length_or_type() -> None:
    for change in (lambda ring: ring[:-1], lambda ring: ring.astype(np.uint64), lambda _: None):
        run = Run(fleet(6)).to(Leg.MASKED)
        device = run.fleet.ids[0]
        answer_all_but(run, device)
        message = run.answer(Leg.MASKED, device)
        assert run.server.receive(device, message, change(run.vectors[device])) is Reason.BAD_LENGTH
        go_on(run)
        assert device not in run.finish().devices


def test_a_vector_that_was_not_signed() -> None:
    run = Run(fleet(6)).to(Leg.MASKED)
    device = run.fleet.ids[0]
    message = run.answer(Leg.MASKED, device)
    assert run.server.receive(device, message, run.vectors[device] + np.uint32(1)) is Reason.SETS_DIFFER


def test_keys_of_small_order() -> None:
    run = Run(fleet(4))
    device = run.fleet.ids[0]
    _, message = run.fleet.begin(device)
    advertise = Advertise.from_bytes(Envelope.from_bytes(message).payload)
    for field in ("mask_key", "seal_key"):
        weak = replace(advertise, **{field: bytes(32)})
        server = run.fleet.server()
        signed = resign(run, device, Kind.ADVERTISE, weak.to_bytes())
        assert server.receive(device, signed) is Reason.SWAPPED_KEY


def test_shares_for_other_devices_than_its_neighbours() -> None:
    run = Run(fleet(6)).to(Leg.SHARES)
    device = run.fleet.ids[0]
    message = Envelope.from_bytes(run.answer(Leg.SHARES, device))
    shares = Shares.from_bytes(message.payload)
    shares.boxes.popitem()
    assert run.server.receive(device, resign(run, device, Kind.SHARES, shares.to_bytes())) is Reason.NEIGHBOURHOOD


def test_bad_ciphertext_is_named_by_who_gets_it() -> None:
    run = Run(fleet(6)).to(Leg.SHARES)
    device, victim = run.fleet.ids[:2]
    answer_all_but(run, device)
    shares = Shares.from_bytes(Envelope.from_bytes(run.answer(Leg.SHARES, device)).payload)
    shares.boxes[victim] = bytes(len(shares.boxes[victim]))
    assert run.server.receive(device, resign(run, device, Kind.SHARES, shares.to_bytes())) is None
    go_on(run)
    with pytest.raises(RefusalError, match=device) as caught:
        run.answer(Leg.MASKED, victim)
    assert caught.value.reason == Reason.BAD_CIPHERTEXT
    run.server.drop(victim, str(caught.value), reason=Reason(caught.value.reason))
    answer_all_but(run, victim)
    go_on(run)
    assert victim not in run.finish().devices


def test_confirmation_of_other_sets() -> None:
    run = Run(fleet(6)).to(Leg.CONFIRM)
    device = run.fleet.ids[0]
    wrong = resign(run, device, Kind.CONFIRM, b"v" * 32 + b"s" * 32)
    assert run.server.receive(device, wrong) is Reason.SETS_DIFFER


def lie(run: Run, device: str) -> None:
    unmask = Unmask.from_bytes(Envelope.from_bytes(run.answer(Leg.UNMASK, device)).payload)
    wrong = Unmask(dict.fromkeys(unmask.seeds, b"\x01" * 33), unmask.keys)
    assert run.server.receive(device, resign(run, device, Kind.UNMASK, wrong.to_bytes())) is None


def test_wrong_shares_are_found_and_named() -> None:
    run = Run(fleet(9)).to(Leg.UNMASK)
    liars = run.fleet.ids[:2]
    for device in run.fleet.ids:
        if device in liars:
            lie(run, device)
        else:
            run.server.receive(device, run.answer(Leg.UNMASK, device))
    opened = run.server.open()
    assert {each: drop.reason for each, drop in run.server.dropped.items()} == dict.fromkeys(
        liars, Reason.BAD_SHARE
    )
    rounding = 0.5 * 9 / run.fleet.encoding.scale
    assert np.abs(opened.total - run.fleet.plain_sum(opened.devices)).max() <= rounding


def test_too_many_wrong_shares_end_the_round() -> None:
    run = Run(fleet(4)).to(Leg.UNMASK)
    for device in run.fleet.ids[:3]:
        lie(run, device)
    run.server.receive(run.fleet.ids[3], run.answer(Leg.UNMASK, run.fleet.ids[3]))
    with pytest.raises(RefusalError) as caught:
        run.server.open()
    assert caught.value.reason == Reason.BAD_SHARE


def test_shares_that_are_missing() -> None:
    run = Run(fleet(4)).to(Leg.UNMASK)
    device = run.fleet.ids[0]
    unmask = Unmask.from_bytes(Envelope.from_bytes(run.answer(Leg.UNMASK, device)).payload)
    unmask.seeds.popitem()
    assert run.server.receive(device, resign(run, device, Kind.UNMASK, unmask.to_bytes())) is Reason.BAD_SHARE


@pytest.mark.parametrize(
    ("word", "added"),
    [
        pytest.param(PARAMETERS, 10**6, id="weight"),
        pytest.param(PARAMETERS + 1, 2**30, id="metric"),
        pytest.param(0, 2**30, id="update"),
    ],
)
def test_a_sum_that_devices_cannot_have_made(word: int, added: int) -> None:
    run = Run(fleet(4)).to(Leg.MASKED)
    device = run.fleet.ids[0]
    answer_all_but(run, device)
    view = Masked.from_bytes(Envelope.from_bytes(run.answer(Leg.MASKED, device)).payload).view
    ring = run.vectors[device]
    ring[word] += np.uint32(added)
    message = resign(run, device, Kind.MASKED, Masked(view, vector_digest(ring)).to_bytes())
    assert run.server.receive(device, message, ring) is None
    go_on(run)
    with pytest.raises(RefusalError) as caught:
        run.finish()
    assert caught.value.reason == Reason.OUT_OF_RANGE


def test_late_and_repeated_messages_change_nothing() -> None:
    run = Run(fleet(6)).to(Leg.MASKED)
    late, *others = run.fleet.ids
    for device in others:
        message = run.answer(Leg.MASKED, device)
        assert run.server.receive(device, message, run.vectors[device]) is None
        assert run.server.receive(device, message, run.vectors[device]) is Reason.REPLAYED
    for earlier in (Leg.ADVERTISE, Leg.SHARES):
        assert run.server.receive(late, run.sent[earlier][late]) is Reason.WRONG_LEG
    assert run.server.waiting == {late}
    go_on(run)
    message = run.answer(Leg.MASKED, late) if late in run.inbox else b""
    assert run.server.receive(late, message, run.vectors.get(late)) is Reason.WRONG_LEG
    opened = run.finish()
    assert opened.devices == tuple(others)
    assert run.server.dropped == {}
    with pytest.raises(RefusalError):
        run.server.open()
    with pytest.raises(RefusalError):
        run.server.advance()


def test_a_message_of_an_earlier_attempt_drops_nobody() -> None:
    devices = fleet(3)
    late = devices.ids[0]
    _, message = devices.begin(late)
    devices.context = replace(CONTEXT, attempt=1)
    run = Run(devices)
    assert run.server.receive(late, message) is Reason.ANOTHER_ROUND
    assert run.server.dropped == {}
    assert run.finish().devices == tuple(devices.ids)


def test_strangers_are_not_heard() -> None:
    run = Run(fleet(3))
    stranger = fleet(1, seed=9)
    _, message = stranger.begin(stranger.ids[0])
    assert run.server.receive(stranger.ids[0], message) is Reason.WRONG_LEG
    assert run.server.dropped == {}
