"""Single calls between tiers: loads that take their time, callers that give up, and errors as what they are."""

from concurrent.futures import Future

import pytest

from splitnet.errors import (
    DeadlineExceededError,
    NotFoundError,
    OperatorError,
    PackageError,
    PeerProtocolError,
    PermissionDeniedError,
    SplitNetError,
    UnavailableError,
)
from splitnet.link import TierClient
from splitnet.protocol import (
    REPOSITORY_INDEX,
    REPOSITORY_MODEL_LOAD,
    REPOSITORY_MODEL_UNLOAD,
    SERVER_METADATA,
    Empty,
    IndexEntry,
    IndexRequest,
    ModelChange,
    ModelName,
)
from tests.link.peers import TIMEOUT_S, Plane, in_thread, linked, serving
from tests.programs.processes import eventually

CHANGE = ModelChange("m", parameters={"splitnet_package": "p.split"})


def test_a_call_is_answered() -> None:
    with serving(Plane()) as server, TierClient(server.address) as client:
        known = client.call(SERVER_METADATA, Empty(), timeout_s=TIMEOUT_S)
        assert (known.name, known.version) == ("plane", "1")
        (entry,) = client.call(REPOSITORY_INDEX, IndexRequest("r", ready=True), timeout_s=TIMEOUT_S)
        assert entry == IndexEntry("m", "1", "READY", "IndexRequest(repository='r', ready=True)")


def test_a_load_is_waited_for() -> None:
    plane = Plane()
    with serving(plane) as server, TierClient(server.address) as client:
        loading = in_thread(lambda: client.call(REPOSITORY_MODEL_LOAD, CHANGE, timeout_s=TIMEOUT_S))
        change, done = plane.changes.get(timeout=TIMEOUT_S)
        assert change == CHANGE
        assert not loading.done()
        done.set_result(None)
        assert loading.result(TIMEOUT_S) == Empty()


def test_a_caller_that_gives_up_leaves_the_load_alone() -> None:
    plane = Plane()
    with serving(plane) as server, TierClient(server.address) as client:
        client.call(SERVER_METADATA, Empty(), timeout_s=TIMEOUT_S)  # connects

        def was_begun() -> bool:
            """Give up a load, and return whether the server had heard of it: it may be kept from that so long."""
            with pytest.raises(DeadlineExceededError, match="RepositoryModelLoad: no answer within the time"):
                client.call(REPOSITORY_MODEL_LOAD, CHANGE, timeout_s=0.5)
            return not plane.changes.empty()

        eventually(was_begun)
        _, done = plane.changes.get(timeout=TIMEOUT_S)
        assert not done.done()
        done.set_result(None)  # which nobody hears
        client.call(SERVER_METADATA, Empty(), timeout_s=TIMEOUT_S)


@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (NotFoundError("no package"), NotFoundError, "[NOT_FOUND] no package"),
        (PackageError("/srv/secret is damaged"), OperatorError, "its log says why"),
        (KeyError("secret"), PeerProtocolError, "its log says why"),
    ],
)
def test_a_load_that_fails_says_what_a_peer_may_read(
    raised: Exception, kind: type[SplitNetError], text: str
) -> None:
    class Failing(Plane):
        def load(self, change: ModelChange) -> "Future[None]":
            future = super().load(change)
            future.set_exception(raised)
            return future

    with serving(Failing()) as server, TierClient(server.address) as client:
        with pytest.raises(kind) as caught:
            client.call(REPOSITORY_MODEL_LOAD, CHANGE, timeout_s=TIMEOUT_S)
        with pytest.raises(NotFoundError, match="nothing to unload of 'm'"):
            client.call(REPOSITORY_MODEL_UNLOAD, CHANGE, timeout_s=TIMEOUT_S)
    assert text in str(caught.value)
    assert "secret" not in str(caught.value)


def test_where_nothing_may_change_the_index_is_still_there() -> None:
    plane = Plane(may_change=False)
    with serving(plane) as server, TierClient(server.address) as client:
        for method in (REPOSITORY_MODEL_LOAD, REPOSITORY_MODEL_UNLOAD):
            with pytest.raises(PermissionDeniedError, match="set allow_load = true in its configuration"):
                client.call(method, CHANGE, timeout_s=TIMEOUT_S)
        assert client.call(REPOSITORY_INDEX, IndexRequest(), timeout_s=TIMEOUT_S)
    assert plane.changes.empty()


def test_a_tier_that_is_not_there_is_told_at_once() -> None:
    with (
        TierClient(("127.0.0.1", 9)) as client,
        pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9: \[UNAVAILABLE\]"),
    ):
        client.call(SERVER_METADATA, Empty(), timeout_s=TIMEOUT_S)


def test_a_link_asks_beside_its_stream_whether_a_model_is_ready() -> None:
    with serving(Plane()) as server, linked(server.address) as client:
        assert client.model_ready(ModelName("m", "1"), timeout_s=TIMEOUT_S) is True
        assert client.model_ready(ModelName("m", "2"), timeout_s=TIMEOUT_S) is False
    with pytest.raises(UnavailableError, match="the link is closed"):
        client.model_ready(ModelName("m", "1"), timeout_s=TIMEOUT_S)
