"""However a request ends at a tier, its tensors are freed then; and a tier that has stopped, with its models."""

import gc
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing

import onnxruntime as ort
import pytest

from splitnet.config import CloudConfig, EdgeConfig, format_address
from splitnet.errors import SplitNetError
from splitnet.link import TierClient
from splitnet.protocol import MODEL_INFER, InferRequest
from splitnet.tier import ServingTier, Uplink
from splitnet_device import Session
from tests.programs.classifier import NAME, draw
from tests.programs.conftest import Packages
from tests.programs.processes import TIMEOUT_S, eventually
from tests.runtime.garbage import tensors_in_circles, uncollected

X, _ = draw(60, seed=5)


@pytest.fixture(scope="module", autouse=True)
def no_collections(packages: Packages) -> Iterator[None]:  # noqa: ARG001  (made before)
    with uncollected():
        yield


@pytest.fixture
def edge(packages: Packages) -> Iterator[str]:
    """An edge and its cloud, in this process; once they have stopped, nothing is left of them."""
    given = {"package": packages.split, "listen": "127.0.0.1:0"}
    cloud = ServingTier("cloud", CloudConfig.model_validate(given))
    cloud.start()
    config = EdgeConfig.model_validate(
        given | {"upstream": format_address(cloud.address), "cache": {"entries": 0}}
    )
    with closing(Uplink("edge", config)) as uplink:
        edge = ServingTier("edge", config, uplink)
        edge.start()
        yield format_address(edge.address)
        edge.stop()
    cloud.stop()
    del edge, cloud, uplink
    # Streams may just be ending.
    eventually(lambda: not any(isinstance(each, ort.InferenceSession) for each in gc.get_objects()))


def test_on_a_stream(edge: str, packages: Packages) -> None:
    with Session(packages.split, upstream=edge, deadline_ms=1e4) as session:
        assert session.wait_for_link(TIMEOUT_S)
        for _ in range(20):
            session.infer(X)
        futures = [session.submit(X) for _ in range(20)]
        assert not wait(futures, TIMEOUT_S).not_done
        futures = [session.submit(X) for _ in range(20)]
        assert [future.cancel() for future in futures[::2]].count(True)
        assert not wait(futures, TIMEOUT_S).not_done
    with Session(packages.all_cloud, upstream=edge, deadline_ms=1e4) as session:
        assert "runs plan" in str(session.submit(X).exception(TIMEOUT_S))
    del session, futures
    assert tensors_in_circles() == []


def test_in_calls(edge: str) -> None:
    host, port = edge.split(":")
    with TierClient((host, int(port))) as client:
        client.call(MODEL_INFER, InferRequest(NAME, {"x": X}), timeout_s=TIMEOUT_S)
        for wrong in (InferRequest("nobody", {"x": X}), InferRequest(NAME, {"x": X[:, :3]})):
            with pytest.raises(SplitNetError):
                client.call(MODEL_INFER, wrong, timeout_s=TIMEOUT_S)
    assert tensors_in_circles() == []
