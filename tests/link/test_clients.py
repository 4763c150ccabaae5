"""What one client may have, and which clients may do what: by certificate, or by host where there is none."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from splitnet.config import AccessRule, QuotaConfig, TlsConfig
from splitnet.errors import OverloadedError
from splitnet.link import Statistics
from splitnet.link.access import Access
from splitnet.link.serving.clients import Places, client_of
from splitnet.link.tls import client_credentials, server_credentials
from splitnet.protocol import (
    MODEL_CONFIG,
    MODEL_INFER,
    MODEL_METADATA,
    MODEL_READY,
    MODEL_STATISTICS,
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    IndexRequest,
    Method,
    ModelChange,
    ModelName,
    encode_request,
)
from tests.certificates.site import authority, machine
from tests.link.peers import (
    TIMEOUT_S,
    Address,
    Conversation,
    Plane,
    ask,
    called,
    dialled,
    echo,
    serving,
    told,
    unary,
)
from tests.programs.processes import eventually

RULES = (
    AccessRule(names=("cam-*",), models=("m",)),
    AccessRule(names=("operator",), models=("*",), load=True),
    AccessRule(names=("watcher",), models=("other",)),
)


@pytest.fixture
def site(tmp_path: Path) -> dict[str, TlsConfig]:
    signer = authority(tmp_path)
    return {name: machine(tmp_path, signer, name) for name in ("cloud", "cam-1", "cam-2", "operator", "watcher")}


@contextmanager
def shown(address: Address, certificate: TlsConfig) -> Iterator[grpc.Channel]:
    """A channel on which `certificate` is shown."""
    options = [("grpc.use_local_subchannel_pool", 1)]
    target = f"{address[0]}:{address[1]}"
    with grpc.secure_channel(target, client_credentials(certificate), options=options) as channel:
        yield channel


def outcome(channel: grpc.Channel, method: Method[Any, Any], request: Any) -> tuple[str, Any]:
    """Return the status of a small call, with its text or its answer."""
    try:
        reply: bytes = unary(channel, method.path)(method.encode_request(request), timeout=TIMEOUT_S)
    except grpc.RpcError as err:
        return err.code().name, err.details()
    return "OK", method.decode_response(reply)


def test_requests_of_one_client_are_bounded_over_all_its_calls_and_streams() -> None:
    plane = Plane()
    with serving(plane, quota=QuotaConfig(in_flight=3)) as server, dialled(server.address) as channel:
        talks = [Conversation(channel), Conversation(channel)]
        for talk in talks:
            talk.send(encode_request(ask()))
        reply = unary(channel, MODEL_INFER.path).future(encode_request(ask()), timeout=TIMEOUT_S)
        held = [plane.next() for _ in range(3)]
        for status, text in (called(channel, encode_request(ask())), told(talks[0], encode_request(ask()))):
            assert status == "RESOURCE_EXHAUSTED"
            assert "3 requests of this client" in text
        for request, _, answer in held:
            answer.set_result(echo(request))
        assert reply.result(TIMEOUT_S)
        for talk in talks:
            talk.receive()
            talk.send(encode_request(ask()))
            request, _, answer = plane.next()
            answer.set_result(echo(request))
            assert not talk.receive().error_message


def test_streams_of_one_client_are_bounded() -> None:
    with serving(Plane(echo), quota=QuotaConfig(streams=1)) as server, dialled(server.address) as channel:
        first = Conversation(channel)
        assert told(first, encode_request(ask()))[0] == "OK"
        with pytest.raises(grpc.RpcError, match="1 streams of this client") as caught:
            Conversation(channel).receive()
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        first.call.cancel()

        def has_place() -> bool:
            try:
                return told(Conversation(channel), encode_request(ask()))[0] == "OK"
            except grpc.RpcError:
                return False

        eventually(has_place)


def test_places_are_forgotten_with_the_last() -> None:
    places = Places(2, "streams")
    for _ in range(2):
        places.take("a")
    with pytest.raises(OverloadedError):
        places.take("a")
    places.take("b")
    for client in "aab":
        places.leave(client)
    assert not places._held


@pytest.mark.parametrize(
    ("peer", "host"),
    [
        ("ipv4:10.0.0.7:53412", "10.0.0.7"),
        ("ipv6:%5B::1%5D:53412", "[::1]"),
        ("ipv6:[2001:db8::1]:443", "[2001:db8::1]"),
    ],
)
def test_without_a_certificate_a_client_is_its_host(peer: str, host: str) -> None:
    class Context:
        """What gRPC tells of a plaintext call."""

        def peer(self) -> str:
            return peer

        def auth_context(self) -> dict[str, list[bytes]]:
            return {}

    context: Any = Context()
    assert (client_of(context).name, client_of(context).names) == (host, ())


def test_certificates_of_one_host_are_clients_of_their_own(site: dict[str, TlsConfig]) -> None:
    credentials = server_credentials(site["cloud"])
    with (
        serving(Plane(echo), credentials=credentials, quota=QuotaConfig(streams=1)) as server,
        shown(server.address, site["cam-1"]) as one,
        shown(server.address, site["cam-2"]) as other,
    ):
        talks = [Conversation(one), Conversation(other)]
        assert [told(talk, encode_request(ask()))[0] for talk in talks] == ["OK", "OK"]
        with pytest.raises(grpc.RpcError, match="1 streams of this client"):
            Conversation(one).receive()


def test_a_tier_that_takes_no_changes_takes_none_from_whom_the_rules_let(site: dict[str, TlsConfig]) -> None:
    credentials, access = server_credentials(site["cloud"]), Access(RULES)
    with (
        serving(Plane(echo, may_change=False), credentials=credentials, access=access) as server,
        shown(server.address, site["operator"]) as channel,
    ):
        status, text = outcome(channel, REPOSITORY_MODEL_UNLOAD, ModelChange("m"))
        assert status == "PERMISSION_DENIED"
        assert "allow_load" in text


@pytest.mark.parametrize(
    ("who", "infers", "reads", "loads"),
    [("cam-1", True, True, False), ("operator", True, True, True), ("watcher", False, False, False)],
)
def test_a_certificate_may_do_what_the_rules_say(
    site: dict[str, TlsConfig], who: str, *, infers: bool, reads: bool, loads: bool
) -> None:
    plane = Plane(echo)
    credentials, access = server_credentials(site["cloud"]), Access(RULES)
    with (
        serving(plane, credentials=credentials, access=access, statistics=Statistics()) as server,
        shown(server.address, site[who]) as channel,
    ):
        message = encode_request(ask())
        for status, text in (called(channel, message), told(Conversation(channel), message)):
            assert status == ("OK" if infers else "PERMISSION_DENIED")
            assert infers or f"{who} may not call model 'm' here" in text
        assert plane.terms.qsize() == 2 * infers  # what is denied is not looked at further
        name = ModelName("m", "1")
        assert outcome(channel, MODEL_READY, name)[0] == ("OK" if reads else "PERMISSION_DENIED")
        for method in (MODEL_METADATA, MODEL_CONFIG, MODEL_STATISTICS):
            assert outcome(channel, method, name)[0] == ("NOT_FOUND" if reads else "PERMISSION_DENIED")
        assert [entry.name for entry in outcome(channel, REPOSITORY_INDEX, IndexRequest())[1]] == ["m"] * reads
        assert outcome(channel, REPOSITORY_MODEL_UNLOAD, ModelChange("m"))[0] == (
            "NOT_FOUND" if loads else "PERMISSION_DENIED"
        )
        load = unary(channel, REPOSITORY_MODEL_LOAD.path).future(
            REPOSITORY_MODEL_LOAD.encode_request(ModelChange("m")), timeout=TIMEOUT_S
        )
        if loads:
            plane.changes.get(timeout=TIMEOUT_S)[1].set_result(None)
        assert load.code().name == ("OK" if loads else "PERMISSION_DENIED")


def test_with_rules_a_plaintext_caller_may_do_nothing() -> None:
    with serving(Plane(echo), access=Access(RULES)) as server, dialled(server.address) as channel:
        status, text = called(channel, encode_request(ask()))
    assert status == "PERMISSION_DENIED"
    assert "a caller without a certificate" in text


def test_without_certificates_the_repository_says_who_may_load() -> None:
    plane = Plane(echo, may_change=False)
    with serving(plane) as server, dialled(server.address) as channel:
        for method in (REPOSITORY_MODEL_LOAD, REPOSITORY_MODEL_UNLOAD):
            status, text = outcome(channel, method, ModelChange("m"))
            assert (status, "allow_load" in text) == ("PERMISSION_DENIED", True)
    assert plane.changes.empty()
