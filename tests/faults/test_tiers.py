"""A tier that goes while others stay: told to, or killed beside a second one."""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from splitnet.config import format_address, parse_address
from splitnet.emulate import Delay, LinkShape, ShapedLink
from splitnet_device import Session
from tests.faults.load import Load
from tests.faults.package import Asked
from tests.faults.site import Site, Tier

#: Nobody waits for it: what a lost connection held is asked again or answered at once.
DEADLINE_MS = 10_000.0
#: From the edge to the cloud, and as much on the way back.
FAR_S = 0.4
IN_A_ROW = 20
TIMEOUT_S = 30.0


@contextmanager
def logged() -> Iterator[IO[bytes]]:
    """A log of tiers' complaints, in which there is no traceback in the end."""
    with tempfile.TemporaryFile() as log:
        yield log
        log.seek(0)
        assert b"Traceback" not in log.read()


@contextmanager
def started(name: str, asked: Asked, log: IO[bytes], upstream: str | None = None) -> Iterator[Tier]:
    tier = Tier(name, asked.package, ["--upstream", upstream] if upstream is not None else [], log)
    try:
        tier.start()
        yield tier
    finally:
        tier.stop()


def test_one_of_two_edges_is_killed_and_no_request_is_lost(asked: Asked) -> None:
    with ExitStack() as stack:
        log = stack.enter_context(logged())
        cloud = stack.enter_context(started("cloud", asked, log))
        edges = [stack.enter_context(started("edge", asked, log, cloud.address)) for _ in range(2)]
        # Links of some delay: several requests are on their way whenever an edge is killed.
        links = [stack.enter_context(ShapedLink(parse_address(e.address), LinkShape(None, 0.05))) for e in edges]
        upstream = [format_address(link.address) for link in links]
        session = stack.enter_context(Session(asked.package, upstream=upstream))
        with Load(session, asked, deadline_ms=DEADLINE_MS) as load:
            assert load.wait_until_served(0, times=2 * IN_A_ROW, timeout_s=TIMEOUT_S) is not None
            before = [link.stats().up_bytes for link in links]
            assert min(before) > 0.25 * max(before), "the edges take turns"
            edges[0].kill()
            after = len(load.requests)
            assert load.wait_until_served(after, times=2 * IN_A_ROW, timeout_s=TIMEOUT_S) is not None
    assert not [request for request in load.requests if not request.served or not request.right]
    assert {len(request.ends_s) for request in load.requests} == {1}


def test_an_edge_that_is_told_to_end_finishes_what_it_has(asked: Asked, tmp_path: Path) -> None:
    with Site(asked.package, tmp_path) as site:
        site.links["edge-cloud"].inject(Delay(FAR_S))
        with Load(site.session, asked, deadline_ms=DEADLINE_MS) as load:
            assert load.wait_until_served(0, times=IN_A_ROW, timeout_s=TIMEOUT_S) is not None
            told_s = time.monotonic()
            site.edge.process.send_signal(signal.SIGTERM)
            assert site.edge.process.ended(TIMEOUT_S) == 0
            last = len(load.requests)
            time.sleep(0.1)  # a few more requests, that nobody above can take
        # Each takes 0.8 s, nearly all of it beyond the edge: these were there when it was told to end.
        held = [each for each in load.requests if told_s - 1.75 * FAR_S < each.start_s < told_s - FAR_S]
        assert held
        assert all(each.served and each.right for each in held)
        assert all(each.reason == "UNAVAILABLE" for each in load.requests[last:])
        assert not [each.error for each in load.requests if each.error]
    assert "Traceback" not in site.logged()
