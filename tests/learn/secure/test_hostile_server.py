"""A server that does not follow the protocol: every device refuses by name, and gives nothing out."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from splitnet.errors import RefusalError, outcome_of
from splitnet.learn.secure import DevicePolicy, DeviceRound, Encoding, Leg, Reason, RoundContext, RoundRules
from splitnet.learn.secure.envelope import Envelope, Kind, server_message, signed_message
from splitnet.learn.secure.messages import Advertise, Confirmations, Peers, Relay, Survivors
from tests.learn.secure.fleet import CONTEXT, Fleet, Run, fleet


@contextmanager
def refused(reason: Reason) -> Iterator[None]:
    with pytest.raises(RefusalError) as caught:
        yield
    assert caught.value.reason == reason
    assert outcome_of(caught.value).status == "FAILED_PRECONDITION"


def peers_of(run: Run, device: str) -> Peers:
    return Peers.from_bytes(Envelope.from_bytes(run.inbox[device]).payload)


def send_peers(run: Run, device: str, peers: Peers) -> bytes:
    return run.devices[device].share(server_message(run.fleet.context, Kind.PEERS, peers.to_bytes()))


def send_relay(run: Run, device: str, change: Callable[[Relay], Relay]) -> None:
    relay = change(Relay.from_bytes(Envelope.from_bytes(run.inbox[device]).payload))
    message = server_message(run.fleet.context, Kind.RELAY, relay.to_bytes())
    run.devices[device].mask(message, run.fleet.contributions[device])


def send_survivors(run: Run, device: str, change: Callable[[Survivors], Survivors]) -> bytes:
    told = change(Survivors.from_bytes(Envelope.from_bytes(run.inbox[device]).payload))
    return run.devices[device].confirm(server_message(run.fleet.context, Kind.SURVIVORS, told.to_bytes()))


@pytest.fixture
def asked_to_share() -> Run:
    return Run(fleet(6)).to(Leg.SHARES)


@pytest.fixture
def asked_to_mask() -> Run:
    return Run(fleet(6)).to(Leg.MASKED)


@pytest.fixture
def asked_to_confirm() -> Run:
    return Run(fleet(6)).to(Leg.CONFIRM)


def test_a_key_that_its_device_did_not_sign(asked_to_share: Run) -> None:
    run, (device, victim, *_) = asked_to_share, asked_to_share.fleet.ids
    thief = fleet(1, seed=9)
    forged = signed_message(
        CONTEXT,
        Kind.ADVERTISE,
        victim,
        Advertise(b"\x09" * 32, b"\x0a" * 32, run.fleet.encoding.digest).to_bytes(),
        sign=thief.parties[thief.ids[0]].sign,
    ).to_bytes()
    peers = peers_of(run, device)
    others = tuple(each for each in peers.advertised if Envelope.from_bytes(each).sender != victim)
    swapped = Peers(peers.devices | {victim: hashlib.sha256(forged).digest()}, (*others, forged))
    with refused(Reason.BAD_SIGNATURE):
        send_peers(run, device, swapped)


def test_a_list_that_does_not_match_the_keys(asked_to_share: Run) -> None:
    run, (device, victim, *_) = asked_to_share, asked_to_share.fleet.ids
    peers = peers_of(run, device)
    for changed in (victim, device):
        with refused(Reason.SWAPPED_KEY):
            send_peers(run, device, replace(peers, devices=peers.devices | {changed: b"x" * 32}))
    del peers.devices[device]
    with refused(Reason.SWAPPED_KEY):
        send_peers(run, device, peers)


def test_a_device_that_nobody_enrolled(asked_to_share: Run) -> None:
    run, device = asked_to_share, asked_to_share.fleet.ids[0]
    peers = peers_of(run, device)
    stranger = fleet(1, seed=9).ids[0]
    with refused(Reason.UNPINNED):
        send_peers(run, device, replace(peers, devices=peers.devices | {stranger: b"x" * 32}))


def test_fewer_peers_than_the_device_insists_on() -> None:
    run = Run(fleet(4, policy=DevicePolicy(least_peers=4))).to(Leg.SHARES)
    with refused(Reason.TOO_FEW_PEERS):
        run.leg()


@pytest.mark.parametrize("leg", [Leg.SHARES, Leg.MASKED])
def test_fewer_are_left_than_the_device_insists_on(leg: Leg) -> None:
    devices = fleet(5, policy=DevicePolicy(least_peers=4))
    run = Run(devices, {leg: devices.ids[:1]}).to(Leg(leg + 1))
    with refused(Reason.TOO_FEW_PEERS):
        run.leg()


@pytest.mark.parametrize(("threshold", "least"), [(0.5, 0.5), (0.3, 0.5), (0.6, 0.66), (1.5, 0.5)])
def test_a_lower_threshold(threshold: float, least: float) -> None:
    devices = fleet(3, policy=DevicePolicy(least_threshold=least), rules=RoundRules(threshold=threshold))
    with refused(Reason.LOW_THRESHOLD):
        devices.begin(devices.ids[0])


def test_a_lower_threshold_between_legs(asked_to_mask: Run) -> None:
    run, device = asked_to_mask, asked_to_mask.fleet.ids[0]
    state, party = run.devices[device].to_bytes(), run.fleet.parties[device]
    with refused(Reason.LOW_THRESHOLD):
        DeviceRound.from_bytes(state, party, CONTEXT, RoundRules(threshold=0.5), run.fleet.encoding)


def test_more_devices_than_the_encoding_has_room_for() -> None:
    devices = fleet(6)
    run = Run(devices).to(Leg.SHARES)
    small = replace(devices.encoding, devices=5)
    device = run.devices[devices.ids[0]]
    device._encoding = small
    peers = peers_of(run, devices.ids[0])
    own = hashlib.sha256(device._advertisement()).digest()
    with refused(Reason.OVERFLOW):
        send_peers(run, devices.ids[0], replace(peers, devices=peers.devices | {devices.ids[0]: own}))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda context: replace(context, run="another"), Reason.ANOTHER_ROUND),
        (lambda context: replace(context, round=4), Reason.ANOTHER_ROUND),
        (lambda context: replace(context, attempt=1), Reason.ANOTHER_ROUND),
        (lambda context: replace(context, cohort="south"), Reason.ANOTHER_ROUND),
        (lambda context: replace(context, model_digest=b"n" * 32), Reason.ANOTHER_MODEL),
        (lambda context: replace(context, config_digest=b"d" * 32), Reason.ANOTHER_CONFIG),
    ],
)
def test_messages_of_another_sum(change: Callable[[RoundContext], RoundContext], reason: Reason) -> None:
    devices = fleet(6)
    run = Run(devices).to(Leg.SHARES)
    device, misled = devices.ids[:2]
    with refused(reason):
        run.devices[device].share(server_message(change(CONTEXT), Kind.PEERS, peers_of(run, device).to_bytes()))
    # The server gave one peer another model, round or settings, and passes on what that peer signed.
    other = fleet(6, context=change(CONTEXT))
    _, signed = other.begin(misled)
    peers = peers_of(run, device)
    others = tuple(each for each in peers.advertised if Envelope.from_bytes(each).sender != misled)
    listed = Peers(peers.devices | {misled: hashlib.sha256(signed).digest()}, (*others, signed))
    with refused(reason):
        send_peers(run, device, listed)
    with refused(reason):
        state = run.devices[device].to_bytes()
        DeviceRound.from_bytes(state, devices.parties[device], other.context, devices.rules, devices.encoding)


def test_another_encoding_for_one_peer() -> None:
    devices = fleet(6)
    run = Run(devices).to(Leg.SHARES)
    device, misled = devices.ids[:2]
    other = fleet(6)
    other.encoding = Encoding.plan(parameters=40, devices=6, clip=2.0, most_weight=100)
    _, signed = other.begin(misled)
    peers = peers_of(run, device)
    others = tuple(each for each in peers.advertised if Envelope.from_bytes(each).sender != misled)
    with refused(Reason.ANOTHER_CONFIG):
        send_peers(
            run, device, Peers(peers.devices | {misled: hashlib.sha256(signed).digest()}, (*others, signed))
        )


def test_a_neighbour_is_left_out(asked_to_share: Run) -> None:
    run, device = asked_to_share, asked_to_share.fleet.ids[0]
    peers = peers_of(run, device)
    with refused(Reason.NEIGHBOURHOOD):
        send_peers(run, device, replace(peers, advertised=peers.advertised[1:]))


def test_too_few_neighbours_by_the_settings() -> None:
    devices = fleet(60, rules=RoundRules(neighbours=10))
    with refused(Reason.NEIGHBOURHOOD):
        Run(devices).to(Leg.SHARES)


@pytest.mark.parametrize("neighbours", [1, 4, 8])
def test_settings_cannot_thin_out_a_small_round(neighbours: int) -> None:
    """With 4 neighbours, 3 of 10 devices beside another would give the server both of its secrets."""
    devices = fleet(10, rules=RoundRules(neighbours=neighbours))
    run = Run(devices)
    run.to(Leg.SHARES)
    for device in devices.ids:
        peers = peers_of(run, device)
        assert len(peers.advertised) == 9


def test_shares_are_kept_back_or_altered(asked_to_mask: Run) -> None:
    run, (device, victim, other, *_) = asked_to_mask, asked_to_mask.fleet.ids

    def without(relay: Relay) -> Relay:
        return replace(relay, boxes={each: box for each, box in relay.boxes.items() if each != victim})

    def altered(relay: Relay) -> Relay:
        box = bytearray(relay.boxes[victim])
        box[30] ^= 1
        return replace(relay, boxes=relay.boxes | {victim: bytes(box)})

    def exchanged(relay: Relay) -> Relay:
        return replace(relay, boxes=relay.boxes | {victim: relay.boxes[other], other: relay.boxes[victim]})

    for change, reason in (
        (without, Reason.NEIGHBOURHOOD),
        (altered, Reason.BAD_CIPHERTEXT),
        (exchanged, Reason.BAD_CIPHERTEXT),
    ):
        with refused(reason):
            send_relay(run, device, change)
    # The shares that the victim made for somebody else.
    theirs = Relay.from_bytes(Envelope.from_bytes(run.inbox[other]).payload).boxes[victim]
    with refused(Reason.BAD_CIPHERTEXT):
        send_relay(run, device, lambda relay: replace(relay, boxes=relay.boxes | {victim: theirs}))


def test_sharers_that_cannot_be(asked_to_mask: Run) -> None:
    run, (device, *others) = asked_to_mask, asked_to_mask.fleet.ids
    with refused(Reason.SETS_DIFFER):
        send_relay(run, device, lambda relay: replace(relay, sharers=tuple(others)))
    stranger = fleet(1, seed=9).ids[0]
    with refused(Reason.SETS_DIFFER):
        send_relay(run, device, lambda relay: replace(relay, sharers=(*relay.sharers, stranger)))
    with refused(Reason.TOO_FEW_SURVIVORS):
        send_relay(run, device, lambda relay: replace(relay, sharers=relay.sharers[:3]))


def test_both_shares_are_asked_for(asked_to_confirm: Run) -> None:
    run, (device, victim, *_) = asked_to_confirm, asked_to_confirm.fleet.ids
    with refused(Reason.OVERLAPPING_SETS):
        send_survivors(run, device, lambda told: replace(told, dead=(victim,)))


@pytest.mark.parametrize("lost", ["itself", "both", "stranger"])
def test_survivors_that_cannot_be(asked_to_confirm: Run, lost: str) -> None:
    run, (device, victim, *_) = asked_to_confirm, asked_to_confirm.fleet.ids

    def change(told: Survivors) -> Survivors:
        if lost == "stranger":
            return replace(told, dead=(fleet(1, seed=9).ids[0],))
        gone = device if lost == "itself" else victim
        rest = tuple(each for each in told.survivors if each != gone)
        return replace(told, survivors=rest, dead=(gone,) if lost == "itself" else ())

    with refused(Reason.SETS_DIFFER):
        send_survivors(run, device, change)


def test_too_few_survivors_to_open(asked_to_confirm: Run) -> None:
    run, device = asked_to_confirm, asked_to_confirm.fleet.ids[0]

    def change(told: Survivors) -> Survivors:
        return replace(told, survivors=told.survivors[:3], dead=told.survivors[3:])

    with refused(Reason.TOO_FEW_SURVIVORS):
        send_survivors(run, device, change)


def test_survivors_are_split() -> None:
    """Half of the devices hear that one of them died: neither half opens, since each checks the others' word."""
    run = Run(fleet(9)).to(Leg.CONFIRM)
    ids = run.fleet.ids
    outcast, told_all, told_less = ids[8], ids[:4], ids[4:8]

    def less(told: Survivors) -> Survivors:
        rest = tuple(each for each in told.survivors if each != outcast)
        statements = {each: said for each, said in told.statements.items() if each != outcast}
        return Survivors(rest, (outcast,), statements)

    confirmed = {each: send_survivors(run, each, lambda told: told) for each in told_all}
    confirmed |= {each: send_survivors(run, each, less) for each in told_less}
    signatures = {each: Envelope.from_bytes(message).signature for each, message in confirmed.items()}
    message = server_message(CONTEXT, Kind.CONFIRMATIONS, Confirmations(signatures).to_bytes())
    for device in (*told_all, *told_less):
        with refused(Reason.SETS_DIFFER):
            run.devices[device].unmask(message)


def test_sharers_are_split() -> None:
    """One device masks for fewer peers than the others: its neighbours see that it signed another view."""
    run = Run(fleet(9)).to(Leg.MASKED)
    *others, lonely = run.fleet.ids

    def less(relay: Relay) -> Relay:
        rest = tuple(each for each in relay.sharers if each != others[0])
        return Relay(rest, {each: box for each, box in relay.boxes.items() if each != others[0]})

    messages = {each: run.devices[each].mask(run.inbox[each], run.fleet.contributions[each]) for each in others}
    relay = less(Relay.from_bytes(Envelope.from_bytes(run.inbox[lonely]).payload))
    told = server_message(CONTEXT, Kind.RELAY, relay.to_bytes())
    messages[lonely] = run.devices[lonely].mask(told, run.fleet.contributions[lonely])
    signed = {each: Envelope.from_bytes(message) for each, (message, _) in messages.items()}
    statements = {each: envelope.payload[32:] + envelope.signature for each, envelope in signed.items()}
    for device in others:
        rest = {each: statement for each, statement in statements.items() if each != device}
        told = server_message(CONTEXT, Kind.SURVIVORS, Survivors(tuple(run.fleet.ids), (), rest).to_bytes())
        with refused(Reason.SETS_DIFFER):
            run.devices[device].confirm(told)


@pytest.mark.parametrize("whose", [0, -1])
def test_every_confirmation_that_is_shown_counts(whose: int) -> None:
    run = Run(fleet(9)).to(Leg.UNMASK)
    device = run.fleet.ids[0]
    given = Confirmations.from_bytes(Envelope.from_bytes(run.inbox[device]).payload).signatures
    forged = Confirmations(given | {list(given)[whose]: bytes(64)})
    with refused(Reason.SETS_DIFFER):
        run.devices[device].unmask(server_message(CONTEXT, Kind.CONFIRMATIONS, forged.to_bytes()))


def test_confirmations_are_too_few_or_not_of_survivors() -> None:
    run = Run(fleet(9)).to(Leg.UNMASK)
    device = run.fleet.ids[0]
    given = Confirmations.from_bytes(Envelope.from_bytes(run.inbox[device]).payload).signatures
    for kept in (list(given)[:5], [device]):
        few = Confirmations({each: given[each] for each in kept})
        with refused(Reason.SETS_DIFFER):
            run.devices[device].unmask(server_message(CONTEXT, Kind.CONFIRMATIONS, few.to_bytes()))
    stranger = fleet(1, seed=9).ids[0]
    more = Confirmations(given | {stranger: b"s" * 64})
    with refused(Reason.SETS_DIFFER):
        run.devices[device].unmask(server_message(CONTEXT, Kind.CONFIRMATIONS, more.to_bytes()))
    assert run.devices[device].unmask(run.inbox[device])


def test_a_second_unmask() -> None:
    run = Run(fleet(4)).to(Leg.UNMASK)
    device = run.fleet.ids[0]
    before = run.devices[device].to_bytes()
    run.devices[device].unmask(run.inbox[device])
    with refused(Reason.SECOND_UNMASK):
        run.devices[device].unmask(run.inbox[device])
    restored = DeviceRound.from_bytes(
        before, run.fleet.parties[device], CONTEXT, run.fleet.rules, run.fleet.encoding
    )
    with refused(Reason.SECOND_UNMASK):
        restored.unmask(run.inbox[device])


def test_a_second_attempt_is_not_opened() -> None:
    """The difference of two sums of the same updates over different sets would be one device's update."""
    devices = fleet(5)
    Run(devices).finish()
    devices.context = replace(CONTEXT, attempt=1)
    again = Run(devices).to(Leg.CONFIRM)
    for device in devices.ids:
        with refused(Reason.SECOND_UNMASK):
            again.devices[device].confirm(again.inbox[device])


def test_a_round_is_reused() -> None:
    devices = fleet(4)
    Run(devices).to(Leg.SHARES)
    with refused(Reason.REPLAYED):
        devices.begin(devices.ids[0])
    devices.context = replace(CONTEXT, model_digest=b"n" * 32)
    with refused(Reason.REPLAYED):
        devices.begin(devices.ids[0])


def test_a_leg_is_replayed_to_an_older_state(asked_to_mask: Run) -> None:
    run, device = asked_to_mask, asked_to_mask.fleet.ids[0]
    before = run.devices[device].to_bytes()
    run.devices[device].mask(run.inbox[device], run.fleet.contributions[device])
    with refused(Reason.WRONG_LEG):
        run.devices[device].mask(run.inbox[device], run.fleet.contributions[device])
    restored = DeviceRound.from_bytes(
        before, run.fleet.parties[device], CONTEXT, run.fleet.rules, run.fleet.encoding
    )
    with refused(Reason.REPLAYED):
        restored.mask(run.inbox[device], run.fleet.contributions[device])


def test_legs_out_of_order(asked_to_share: Run) -> None:
    run, device = asked_to_share, asked_to_share.fleet.ids[0]
    mine = run.devices[device]
    with refused(Reason.WRONG_LEG):
        mine.unmask(server_message(CONTEXT, Kind.CONFIRMATIONS, Confirmations({}).to_bytes()))
    with refused(Reason.WRONG_LEG):
        mine.confirm(run.inbox[device])
    signed = run.sent[Leg.ADVERTISE][run.fleet.ids[1]]
    with refused(Reason.WRONG_LEG):
        mine.share(signed)


def test_a_refusal_leaves_the_device_where_it_was(asked_to_mask: Run) -> None:
    run, device = asked_to_mask, asked_to_mask.fleet.ids[0]
    with refused(Reason.TOO_FEW_SURVIVORS):
        send_relay(run, device, lambda relay: replace(relay, sharers=relay.sharers[:3]))
    opened = run.finish()
    assert device in opened.devices


def test_a_gap_in_the_ring_of_a_sparse_graph() -> None:
    """A server that calls all neighbours on one side dead would cut the sum in parts."""
    devices: Fleet = fleet(60)
    run = Run(devices).to(Leg.CONFIRM)
    device = devices.ids[0]
    graph = run.server._known_graph()
    place = graph._order.index(device)
    gone = {graph._order[(place + step) % 60] for step in range(1, 20)}

    def cut(told: Survivors) -> Survivors:
        rest = tuple(each for each in told.survivors if each not in gone)
        statements = {each: said for each, said in told.statements.items() if each not in gone}
        return Survivors(rest, tuple(sorted(gone)), statements)

    with refused(Reason.NEIGHBOURHOOD):
        send_survivors(run, device, cut)
