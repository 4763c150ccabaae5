"""A tier that is told to stop says so, finishes what is in flight, and ends with 0."""

import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from splitnet.emulate import LinkShape, ShapedLink, Stall
from splitnet.protocol import MODEL_INFER, InferRequest, encode_request
from splitnet_device import Answer, Session
from tests.link.peers import Conversation, call, dialled, unary
from tests.programs.classifier import NAME
from tests.programs.conftest import Packages, Samples, Service
from tests.programs.processes import PYTHON, ROOT, TIMEOUT_S, eventually, run, running

SIGNALS = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
#: At this share of the speed a batch of 1,024 takes the classifier 0.1 to 0.5 s.
SLOW = ("--emulated-speed", "0.002")
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


def slow_request(name: str) -> bytes:
    return encode_request(InferRequest(NAME, {"x": np.zeros((1024, 12), np.float32)}, id=name))


@SIGNALS
def test_a_cloud_finishes_calls_and_streams(packages: Packages, number: signal.Signals) -> None:
    with running("cloud", package=packages.split, options=SLOW) as cloud, dialled(cloud.address) as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        talk = Conversation(channel)
        for name in "abc":
            talk.send(slow_request(name))
        reply = unary(channel, MODEL_INFER.path).future(slow_request("d"), timeout=TIMEOUT_S)
        assert talk.receive().response.id == "a"  # and the others, sent before it was computed, are there
        cloud.process.send_signal(number)
        assert next(watch).status == NOT_SERVING
        rest = [talk.receive() for _ in range(2)]
        assert [(answer.response.id, answer.error_message) for answer in rest] == [("b", ""), ("c", "")]
        with pytest.raises(StopIteration):
            talk.receive()
        assert reply.result(TIMEOUT_S)
        assert cloud.ended() == 0
        assert cloud.logged() == ""
    with dialled(cloud.address) as channel, pytest.raises(grpc.RpcError) as caught:
        unary(channel, MODEL_INFER.path)(slow_request("e"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@SIGNALS
def test_an_edge_waits_for_its_cloud(
    service: Service, packages: Packages, samples: Samples, uncached: Sequence[str], number: signal.Signals
) -> None:
    ended: list[Future[Answer]] = []
    with (
        ShapedLink(service.cloud.address, LinkShape()) as link,
        running("edge", package=packages.split, upstream=link.address, options=uncached) as edge,
        Session(packages.split, upstream=edge.target, deadline_ms=TIMEOUT_S * 1e3) as session,
        dialled(edge.address) as channel,
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        eventually(lambda: session.infer(samples.at("cloud")).exits == ("cloud",))
        link.inject(Stall(None, "down"))
        asked_bytes = link.stats().up_bytes
        flying = [session.submit(samples.at("cloud", 4)) for _ in range(5)]
        for future in flying:
            future.add_done_callback(ended.append)
        eventually(lambda: link.stats().up_bytes > asked_bytes + 5 * 4 * 48 * 4)
        edge.process.send_signal(number)
        assert next(watch).status == NOT_SERVING
        assert not ended
        link.heal()
        for future in flying:
            assert (future.result(TIMEOUT_S).exits, future.result().fallback) == (("cloud",) * 4, False)
        assert edge.ended() == 0
        assert edge.logged() == ""
        eventually(lambda: session.infer(samples.at("cloud")).fallbacks == ("UNAVAILABLE",))


@SIGNALS
def test_an_idle_tier_ends_at_once_however_many_watch(packages: Packages, number: signal.Signals) -> None:
    with (
        running("edge", package=packages.split, upstream=("127.0.0.1", 9)) as edge,
        dialled(edge.address) as channel,
        Session(packages.split, upstream=edge.target) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(), timeout=TIMEOUT_S)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
        start_s = time.monotonic()
        edge.process.send_signal(number)
        assert next(watch).status == NOT_SERVING
        assert edge.ended() == 0
        assert time.monotonic() - start_s < TIMEOUT_S / 2


def test_what_outlives_the_grace_is_dropped(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "cloud.toml").write_text("grace_s = 0.2\ndeadline_ms = 600000.0")
    options = [*SLOW, "--config", str(tmp_path / "cloud.toml")]
    with running("cloud", package=packages.split, options=options) as cloud, dialled(cloud.address) as channel:
        talk = Conversation(channel)
        for name in range(100):
            talk.send(slow_request(str(name)))
        assert talk.receive().response.id == "0"
        start_s = time.monotonic()
        cloud.process.terminate()
        with pytest.raises(grpc.RpcError):
            list(talk.call)
        assert cloud.ended() == 0
        assert time.monotonic() - start_s < 10.0


@SIGNALS
def test_a_device_stops_in_the_midst_of_its_samples(
    packages: Packages, samples: Samples, tmp_path: Path, number: signal.Signals
) -> None:
    np.savez(tmp_path / "x.npz", x=np.repeat(samples.at("device"), 100_000, axis=0))
    options = ("--input", str(tmp_path / "x.npz"), "--upstream", "127.0.0.1:9", "--plaintext")
    command = [*PYTHON, "-m", "splitnet", "device", "--package", str(packages.split), *options]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True) as device,
    ):
        # Said by its session; before there is one, the signal has its usual effect.
        eventually(lambda: "cannot be reached" in (tmp_path / "log").read_text())
        device.send_signal(number)
        assert device.wait(TIMEOUT_S) == 128 + number
        assert device.communicate(timeout=TIMEOUT_S)[0] == ""
    assert "Traceback" not in (tmp_path / "log").read_text()


def test_a_second_server_does_not_take_the_port(service: Service, packages: Packages) -> None:
    target = service.edge.target
    done = run("edge", "--package", str(packages.split), "--listen", target)
    assert (done.code, done.out) == (3, "")
    assert done.err == f"splitnet: cannot listen on {target}: Address already in use\n"
    with dialled(service.edge.address) as channel:
        assert call(channel, encode_request(InferRequest(NAME, {"x": np.zeros((1, 12), np.float32)}))).tensors
