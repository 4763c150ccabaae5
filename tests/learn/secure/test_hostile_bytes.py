"""Messages and states keep their meaning through bytes, and bytes that anybody wrote are refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.errors import RefusalError
from splitnet.learn.secure import DeviceRound, Leg, Reason, RoundContext
from splitnet.learn.secure import messages as said
from splitnet.learn.secure.device_state import DeviceState, Stage
from splitnet.learn.secure.envelope import SERVER, Envelope, Kind
from splitnet.learn.secure.wire import Reader, id_bytes, table
from tests.learn.secure.fleet import CONTEXT, Run, fleet

IDS = st.binary(min_size=8, max_size=8).filter(lambda raw: raw.hex() != SERVER).map(bytes.hex)
ID_LISTS = st.lists(IDS, unique=True, max_size=5).map(lambda ids: tuple(sorted(ids)))
DIGESTS = st.binary(min_size=32, max_size=32)
TEXTS = st.text(max_size=25)


def tables(width: int) -> st.SearchStrategy[dict[str, bytes]]:
    return st.dictionaries(IDS, st.binary(min_size=width, max_size=width), max_size=5)


CONTEXTS = st.builds(
    RoundContext, TEXTS, st.integers(0, 2**32 - 1), st.integers(0, 2**16 - 1), TEXTS, DIGESTS, DIGESTS
)
MESSAGES: dict[Any, st.SearchStrategy[Any]] = {
    said.Advertise: st.builds(said.Advertise, DIGESTS, DIGESTS, DIGESTS),
    said.Peers: st.builds(said.Peers, tables(32), st.lists(st.binary(max_size=300), max_size=3).map(tuple)),
    said.Shares: st.builds(said.Shares, DIGESTS, tables(said.BOX_BYTES)),
    said.Relay: st.builds(said.Relay, ID_LISTS, tables(said.BOX_BYTES)),
    said.Masked: st.builds(said.Masked, DIGESTS, DIGESTS),
    said.Survivors: st.builds(said.Survivors, ID_LISTS, ID_LISTS, tables(96)),
    said.Confirm: st.builds(said.Confirm, DIGESTS, DIGESTS),
    said.Confirmations: st.builds(said.Confirmations, tables(64)),
    said.Unmask: st.builds(said.Unmask, tables(33), tables(33)),
}


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_message_is_what_its_bytes_say(kind: Any) -> None:
    @settings(max_examples=40)
    @given(MESSAGES[kind])
    def holds(message: Any) -> None:
        assert kind.from_bytes(message.to_bytes()) == message

    holds()


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_a_message_cut_or_lengthened_is_malformed(kind: Any) -> None:
    @settings(max_examples=40)
    @given(MESSAGES[kind], st.data())
    def holds(message: Any, data: st.DataObject) -> None:
        raw = message.to_bytes()
        for wrong in (raw[: data.draw(st.integers(0, len(raw) - 1))], raw + b"\x00"):
            with pytest.raises(RefusalError) as caught:
                kind.from_bytes(wrong)
            assert caught.value.reason == Reason.MALFORMED

    holds()


@given(CONTEXTS, st.sampled_from(Kind), IDS, st.binary(max_size=50), st.binary(min_size=64, max_size=64))
def test_an_envelope_is_what_its_bytes_say(
    context: RoundContext, kind: Kind, sender: str, payload: bytes, signature: bytes
) -> None:
    envelope = Envelope(context, kind, sender, payload, signature)
    assert Envelope.from_bytes(envelope.to_bytes()) == envelope


@settings(max_examples=100)
@given(CONTEXTS, CONTEXTS)
def test_contexts_that_differ_sign_differently(one: RoundContext, other: RoundContext) -> None:
    assert (one.to_bytes() == other.to_bytes()) is (one == other)
    assert (one.claim_key("x") == other.claim_key("x")) is (
        (one.run, one.round, one.attempt) == (other.run, other.round, other.attempt)
    )
    assert one.open_key == replace(one, attempt=one.attempt ^ 1).open_key != one.claim_key("open")


@given(CONTEXTS, st.sampled_from(Stage), tables(32), tables(64), tables(66), ID_LISTS, st.binary(max_size=32))
def test_a_state_is_what_its_bytes_say(
    context: RoundContext,
    stage: Stage,
    devices: dict[str, bytes],
    peers: dict[str, bytes],
    shares: dict[str, bytes],
    ids: tuple[str, ...],
    secret: bytes,
) -> None:
    held = {device: bytearray(share) for device, share in shares.items()}
    state = DeviceState(stage, bytearray(secret), bytearray(), bytearray(secret), devices, peers, held, ids, ids)
    raw = state.to_bytes(context)
    assert DeviceState.from_bytes(raw, context) == state
    with pytest.raises(RefusalError):
        DeviceState.from_bytes(raw[:-1], context)


def test_equal_tables_have_equal_bytes_and_no_others() -> None:
    one, two = "00" * 7 + "01", "00" * 7 + "02"
    assert table({two: b"b", one: b"a"}) == table({one: b"a", two: b"b"})
    good = table({one: b"a", two: b"b"})
    assert Reader(good, "table").table(1) == {one: b"a", two: b"b"}
    turned = good[:2] + good[11:] + good[2:11]
    for wrong in (turned, good[:2] + good[2:11] * 2):
        with pytest.raises(RefusalError):
            Reader(wrong, "table").table(1)


@pytest.mark.parametrize("device", ["", "00" * 7, "AB" * 8, "0g" * 8, " " * 16, "00 " * 8])
def test_what_is_no_device_id(device: str) -> None:
    with pytest.raises(RefusalError):
        id_bytes(device)


def steps(run: Run) -> dict[Leg, Callable[[bytes], object]]:
    """Return what each leg's device does with the server's bytes; a fresh copy of the device each time."""
    device = run.fleet.ids[0]
    states = {}
    inboxes = {}
    for leg in (Leg.SHARES, Leg.MASKED, Leg.CONFIRM, Leg.UNMASK):
        run.to(leg)
        states[leg], inboxes[leg] = run.devices[device].to_bytes(), run.inbox[device]
    fleet = run.fleet

    def copy(leg: Leg) -> DeviceRound:
        party = replace(fleet.parties[device], journal=Never())
        return DeviceRound.from_bytes(states[leg], party, CONTEXT, fleet.rules, fleet.encoding)

    run.inboxes = inboxes  # type: ignore[attr-defined]  # for the caller alone
    return {
        Leg.SHARES: lambda data: copy(Leg.SHARES).share(data),
        Leg.MASKED: lambda data: copy(Leg.MASKED).mask(data, fleet.contributions[device]),
        Leg.CONFIRM: lambda data: copy(Leg.CONFIRM).confirm(data),
        Leg.UNMASK: lambda data: copy(Leg.UNMASK).unmask(data),
    }


class Never:
    """A journal that lets everything pass, so that each example begins alike."""

    def claim(self, key: str) -> bool:
        return bool(key)


def test_a_device_refuses_any_other_bytes_than_the_servers() -> None:
    run = Run(fleet(4))
    taken = steps(run)
    inboxes: dict[Leg, bytes] = run.inboxes  # type: ignore[attr-defined]  # set above

    @settings(max_examples=150, deadline=None)
    @given(st.sampled_from(list(taken)), st.data())
    def holds(leg: Leg, data: st.DataObject) -> None:
        good = inboxes[leg]
        at = data.draw(st.integers(0, len(good) - 1))
        change = data.draw(st.sampled_from(["flip", "cut", "random", "double"]))
        wrong = {
            "flip": good[:at] + bytes([good[at] ^ data.draw(st.integers(1, 255))]) + good[at + 1 :],
            "cut": good[:at],
            "random": data.draw(st.binary(max_size=300)),
            "double": good + good,
        }[change]
        with pytest.raises(RefusalError) as caught:
            taken[leg](wrong)
        assert caught.value.reason in set(Reason)

    holds()
    for leg, good in inboxes.items():
        assert taken[leg](good)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_a_server_takes_no_random_bytes(data: bytes) -> None:
    run = Run(fleet(3))
    assert run.server.receive(run.fleet.ids[0], data) is Reason.MALFORMED


def test_a_server_takes_no_altered_message() -> None:
    run = Run(fleet(3))
    device = run.fleet.ids[0]
    _, message = run.fleet.begin(device)

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, len(message) - 1), st.integers(1, 255))
    def holds(at: int, flip: int) -> None:
        wrong = message[:at] + bytes([message[at] ^ flip]) + message[at + 1 :]
        server = run.fleet.server()
        assert server.receive(device, wrong) is not None
        assert server.waiting == set(run.fleet.ids) - {device} | ({device} - server.dropped.keys())

    holds()
    assert run.fleet.server().receive(device, message) is None
