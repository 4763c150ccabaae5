"""Whoever reaches the port: bytes that are no call, floods and bombs leave a tier as it was, and no larger."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.protocol import MODEL_INFER, SERVER_LIVE, InferRequest, encode_request
from splitnet.protocol import open_inference_pb2 as pb
from tests.link.peers import Conversation, called, dialled, told, unary
from tests.programs.classifier import NAME
from tests.programs.conftest import Packages
from tests.programs.processes import TIMEOUT_S, Program, in_time, running

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
GOOD = encode_request(InferRequest(NAME, {"x": np.zeros((1, 12), np.float32)}))
#: How much a tier may grow under all of this; Python and gRPC keep some of what they have freed.
MAY_GROW_BYTES = 48 * 2**20


@pytest.fixture(scope="module")
def cloud(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    config = tmp_path_factory.mktemp("port") / "cloud.toml"
    config.write_text("max_message_bytes = 1048576\nmax_streams = 8")
    with running("cloud", package=packages.split, options=["--config", str(config)]) as cloud:
        with dialled(cloud.address) as channel:
            assert called(channel, GOOD)[0] == "OK"
        yield cloud
        assert "Traceback" not in cloud.logged()


def resident_bytes(program: Program) -> int:
    """Return the most memory that a program has held so far."""
    status = Path(f"/proc/{program.process.pid}/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak) * 1024


@pytest.fixture
def watched(cloud: Program) -> Iterator[Program]:
    """A tier that must answer as before afterwards, and must not have grown."""
    before = resident_bytes(cloud)
    yield cloud
    with dialled(cloud.address) as channel:
        assert called(channel, GOOD)[0] == "OK"
        assert told(Conversation(channel), GOOD)[0] == "OK"
    assert resident_bytes(cloud) - before < MAY_GROW_BYTES


def thrown_at(program: Program, garbage: bytes) -> None:
    """Connect, send `garbage`, and read until the other end is closed."""
    with socket.create_connection(program.address, TIMEOUT_S) as client, suppress(OSError):
        client.sendall(garbage)
        client.shutdown(socket.SHUT_WR)
        while client.recv(65536):
            pass


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """HTTP/2 frames that say anything, behind a good preface."""
    sent = [PREFACE]
    for _ in range(draw(st.integers(0, 6))):
        payload = draw(st.binary(max_size=40))
        size = draw(st.sampled_from([len(payload), 0, 5, 2**14, 2**24 - 1]))
        kind, flags, stream = draw(st.integers(0, 12)), draw(st.integers(0, 255)), draw(st.integers(0, 2**32 - 1))
        sent.append(size.to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload)
    return b"".join(sent)


@given(garbage=st.binary(max_size=400) | frames() | st.just(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
@settings(max_examples=60)
def test_bytes_that_are_no_call(cloud: Program, garbage: bytes) -> None:
    thrown_at(cloud, garbage)


def test_the_tier_outlives_them(watched: Program) -> None:
    for garbage in (b"", b"\x00" * 200_000, PREFACE + b"\xff" * 200_000, b"\x16\x03\x01" + b"\x00" * 5000):
        thrown_at(watched, garbage)


def test_connections_that_say_nothing(watched: Program) -> None:
    with ExitStack() as stack:
        for index in range(200):
            silent = stack.enter_context(socket.create_connection(watched.address, TIMEOUT_S))
            silent.sendall(PREFACE[: index % len(PREFACE)])
        with dialled(watched.address) as channel:
            assert called(channel, GOOD)[0] == "OK"


@pytest.mark.parametrize(
    ("method", "compression"),
    [
        ("ModelInfer", grpc.Compression.Gzip),
        ("ModelStreamInfer", grpc.Compression.Deflate),
        ("RepositoryIndex", grpc.Compression.Gzip),
    ],
)
def test_a_small_message_that_unpacks_to_a_large_one(
    watched: Program, method: str, compression: grpc.Compression
) -> None:
    bomb = bytes(64 * 2**20)
    with dialled(watched.address) as channel:
        made: Any = channel.stream_stream(f"/inference.GRPCInferenceService/{method}")
        with pytest.raises(grpc.RpcError) as caught:
            next(made(iter([bomb]), timeout=TIMEOUT_S, compression=compression))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_more_metadata_than_a_call_may_have(watched: Program) -> None:
    with dialled(watched.address) as channel:
        for size in (20_000, 2_000_000):
            with pytest.raises(grpc.RpcError) as caught:
                unary(channel, SERVER_LIVE.path)(b"", timeout=TIMEOUT_S, metadata=[("x-long", "x" * size)])
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@st.composite
def claims(draw: st.DrawFn) -> bytes:
    """A small request that claims to be of any size."""
    sizes = st.sampled_from([0, 1, 12, 2**16, 2**31 - 1, 2**32, 2**62, 2**63 - 1, -1, -(2**63)])
    datatypes = st.sampled_from(["FP32", "FP64", "UINT8", "BOOL", "BYTES", "FP16", "INT64"])
    request = pb.ModelInferRequest(model_name=NAME)
    tensor = request.inputs.add(name="x", datatype=draw(datatypes), shape=draw(st.lists(sizes, max_size=6)))
    if draw(st.booleans()):
        coded = {"splitnet_coding": "zstd", "splitnet_datatype": draw(datatypes)}
        coded["splitnet_shape"] = ",".join(map(str, draw(st.lists(sizes, max_size=6))))
        for name, value in coded.items():
            tensor.parameters[name].string_param = value
    request.raw_input_contents.append(draw(st.binary(max_size=40)))  # less than any true one
    return request.SerializeToString()


@given(message=claims())
@settings(max_examples=60)
def test_no_claim_is_believed(cloud: Program, message: bytes) -> None:
    with dialled(cloud.address) as channel:
        assert called(channel, message)[0] == "INVALID_ARGUMENT"


def test_more_streams_and_calls_than_there_are_places(watched: Program) -> None:
    with dialled(watched.address) as channel:
        talks = [Conversation(channel) for _ in range(40)]
        calls = [unary(channel, MODEL_INFER.path).future(GOOD, timeout=TIMEOUT_S) for _ in range(300)]
        taken = 0
        for talk in talks:
            talk.send(GOOD)
            with suppress(grpc.RpcError):
                talk.receive()
                taken += 1
        assert taken == 8
        assert {each.code().name for each in calls} <= {"OK", "RESOURCE_EXHAUSTED"}
        for talk in talks:
            talk.call.cancel()


def test_a_full_queue_refuses_at_once_while_all_threads_compute(packages: Packages, tmp_path: Path) -> None:
    (tmp_path / "cloud.toml").write_text("queue_limit = 2\nworkers = 1\ndeadline_ms = 600000.0\nmax_batch = 65536")
    options = ["--emulated-speed", "0.001", "--config", str(tmp_path / "cloud.toml")]
    slow = encode_request(InferRequest(NAME, {"x": np.zeros((65536, 12), np.float32)}))
    with running("cloud", package=packages.split, options=options) as cloud, dialled(cloud.address) as channel:
        busy, asking = Conversation(channel), Conversation(channel)
        for _ in range(2):
            busy.send(slow)
        busy.send(b"")  # answered at once: what was sent before it has been taken
        assert busy.receive().error_message

        def refused() -> float:
            start_s = time.monotonic()
            assert told(asking, GOOD)[0] == "RESOURCE_EXHAUSTED"
            return time.monotonic() - start_s

        in_time(refused, 0.05)
