"""Coded wire tensors between real tiers: the same answers, fewer bytes, and bad ones refused."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from splitnet.coding import CODINGS, CodingName, decode, encode
from splitnet.config import CloudConfig, format_address
from splitnet.deadline import Deadline
from splitnet.emulate import LinkShape, ShapedLink
from splitnet.errors import ConfigError, InvalidArgumentError, PackageError, SplitNetError
from splitnet.package import open_package
from splitnet.protocol import (
    SERVER_METADATA,
    Empty,
    InferRequest,
    Parameter,
    ServerMetadata,
    decode_request,
    encode_request,
)
from splitnet.protocol import open_inference_pb2 as pb
from splitnet.runtime import BoundedExecutor, Pipeline
from splitnet.tensors import Array
from splitnet.tier import ServedModel, ServedVersion, ServingTier, TierDataPlane, Versions
from splitnet_device import Session
from tests.link.peers import Conversation, call, called, dialled, foreign, told, unary
from tests.programs.coded import NAME, SHAPE, all_cloud, answer, noise, smooth, split
from tests.programs.processes import ROOT, TIMEOUT_S, Program, eventually, running
from tests.runtime.segments import Y, stage

LONG_MS = TIMEOUT_S * 1e3


@dataclass(frozen=True, slots=True)
class Run:
    """What a session was answered, and the bytes that went up each link, device to edge and edge to cloud."""

    y: Array
    exits: tuple[str, ...]
    up_bytes: tuple[int, int]


def through(package: Path, x: Array) -> Run:
    """Send `x` through three tiers, each edge and cloud a process, with a counting proxy on each link."""
    with (
        running("cloud", package=package) as cloud,
        ShapedLink(cloud.address, LinkShape()) as upper,
        running("edge", package=package, upstream=upper.address) as edge,
        ShapedLink(edge.address, LinkShape()) as lower,
        Session(package, upstream=format_address(lower.address), deadline_ms=LONG_MS) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        session.infer(np.zeros_like(x))  # from here on, each end has heard of the other that it decodes
        before = [link.stats().up_bytes for link in (lower, upper)]
        found = session.infer(x)
        assert not found.fallback
        assert "Traceback" not in cloud.logged() + edge.logged()
        below, above = (link.stats().up_bytes - sent for link, sent in zip((lower, upper), before, strict=True))
        return Run(found.outputs["y"], found.exits, (below, above))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return through(split(tmp_path_factory.mktemp("plain") / "p.split", "none", "none"), smooth(8))


@pytest.mark.parametrize(("lower", "upper"), [("png", "zstd-shuffle"), ("zstd", "zstd")])
def test_coded_wires_answer_as_plain_ones_to_the_bit(
    tmp_path: Path, plain: Run, lower: CodingName, upper: CodingName
) -> None:
    coded = through(split(tmp_path / "p.split", lower, upper), smooth(8))
    assert coded.y.tobytes() == plain.y.tobytes()
    np.testing.assert_array_equal(coded.y, answer(smooth(8)))
    assert coded.exits == ("cloud",) * 8
    for found, before in zip(coded.up_bytes, plain.up_bytes, strict=True):
        assert found < 0.6 * before


def config(package: Path, **limits: Any) -> CloudConfig:
    return CloudConfig.model_validate({"package": package, "listen": "127.0.0.1:0", **limits})


@contextmanager
def tier(package: Path, name: Any, **limits: Any) -> Iterator[tuple[str, int]]:
    """Serve a package as a tier of this process, without a tier above."""
    serving = ServingTier(name, config(package, **limits))
    serving.start()
    try:
        yield serving.address
    finally:
        serving.stop()


def saying(*extensions: str) -> dict[str, Callable[[bytes], bytes]]:
    """The call by which a server says what it speaks beyond the protocol."""
    known = ServerMetadata("foreign", "1", ("model_stream_infer", *extensions))
    return {SERVER_METADATA.name: lambda _: SERVER_METADATA.encode_response(known)}


def sent(package: Path, x: Array, *extensions: str) -> pb.ModelInferRequest:
    """Return the message that a device sends up to a server that names `extensions`."""
    messages: list[bytes] = []

    def keep(received: Iterator[bytes]) -> Iterator[bytes]:
        messages.append(next(received))
        yield from ()

    with (
        foreign(keep, saying(*extensions)) as address,
        Session(package, upstream=format_address(address), deadline_ms=LONG_MS) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)
        with pytest.raises(Exception, match="the tier above"):
            session.infer(x)
    return pb.ModelInferRequest.FromString(messages[0])


def test_a_coded_tensor_is_bytes_that_say_what_they_are(tmp_path: Path) -> None:
    x = smooth(3)
    message = sent(split(tmp_path / "p.split", "zstd", "none"), x, "splitnet_coding")
    (tensor,), (raw,) = message.inputs, message.raw_input_contents
    assert (tensor.name, tensor.datatype, list(tensor.shape)) == ("t", "UINT8", [len(raw)])
    assert {name: value.string_param for name, value in tensor.parameters.items()} == {
        "splitnet_coding": "zstd",
        "splitnet_datatype": "UINT8",
        "splitnet_shape": "3,3,16,16",
    }
    assert zstd.decompress(raw) == (x // 2).tobytes()


def test_what_coding_makes_larger_is_sent_plain(tmp_path: Path) -> None:
    x = 2 * (noise() // 2)
    message = sent(split(tmp_path / "p.split", "png", "none"), x, "splitnet_coding")
    (tensor,), (raw,) = message.inputs, message.raw_input_contents
    assert (list(tensor.shape), dict(tensor.parameters)) == ([2, *SHAPE], {})
    assert raw == (x // 2).tobytes()


def test_a_server_that_does_not_say_that_it_decodes_gets_plain_tensors(tmp_path: Path) -> None:
    x = smooth(3)
    message = sent(split(tmp_path / "p.split", "zstd", "none"), x)
    (tensor,), (raw,) = message.inputs, message.raw_input_contents
    assert (list(tensor.shape), dict(tensor.parameters)) == ([3, *SHAPE], {})
    assert raw == (x // 2).tobytes()


def test_a_relay_sends_the_very_bytes_on_that_came(tmp_path: Path) -> None:
    x = smooth() + noise() // 8
    coded = encode("jpeg", x)
    once = decode("jpeg", coded, dtype="uint8", shape=x.shape, max_bytes=x.nbytes)
    assert encode("jpeg", once) != coded  # so a relay that codes anew is found out
    package = all_cloud(tmp_path / "p.split", "jpeg")
    messages: list[InferRequest] = []

    def cloud(received: Iterator[bytes]) -> Iterator[bytes]:
        messages.append(decode_request(next(received)))
        yield from ()

    with (
        foreign(cloud, saying("splitnet_coding")) as above,
        running("edge", package=package, upstream=above) as edge,
        Session(package, upstream=edge.target, deadline_ms=LONG_MS) as session,
    ):
        assert session.wait_for_link(TIMEOUT_S)

        def is_coded() -> bool:
            """Whether the edge has heard by now that the server decodes."""
            with pytest.raises(SplitNetError):
                session.infer(x)
            return bool(messages) and messages[-1].tensors["x"].ndim == 1

        eventually(is_coded)
    assert messages[-1].tensors["x"].tobytes() == coded
    assert messages[0].tensor_parameters["x"]["splitnet_coding"] == "jpeg"
    with tier(package, "cloud") as address, dialled(address) as channel:
        found = call(channel, encode_request(messages[0])).tensors["y"]
    np.testing.assert_array_equal(found, answer(once))


def test_tensors_are_decoded_where_segments_run(tmp_path: Path) -> None:
    manifest = open_package(split(tmp_path / "p.split", "none", "zstd")).manifest
    parameters = {"u": {"splitnet_coding": "zstd", "splitnet_datatype": "FP32", "splitnet_shape": "9,4"}}
    request = InferRequest("m", {"u": np.zeros(9, np.uint8)}, tensor_parameters=parameters)
    released = threading.Event()
    with closing(BoundedExecutor(workers=1, limit=2, name="test")) as executor:
        pipeline = Pipeline([stage("cloud")], [Y], executor)
        config = CloudConfig.model_validate({"package": tmp_path, "listen": "127.0.0.1:0"})
        versions = Versions(ServedVersion(manifest, {"m": ServedModel(pipeline, (Y,))}))
        plane = TierDataPlane(versions, config=config, tier="cloud")
        executor.submit(released.wait, TIMEOUT_S)
        future = plane.infer(request, Deadline.after_ms(LONG_MS))
        assert not future.done()
        released.set()
        with pytest.raises(InvalidArgumentError, match="tensor 'u': expected a Zstandard frame"):
            future.result(TIMEOUT_S)


# Bytes of somebody else.

T = smooth() // 2
CODED = encode("zstd", T)
SAYS = {"splitnet_coding": "zstd", "splitnet_datatype": "UINT8", "splitnet_shape": "2,3,16,16"}


def asks(data: bytes | Array = CODED, *, model: str = f"{NAME}.edge", name: str = "t", **says: Any) -> bytes:
    """A request whose tensor is `data` with parameters as in `SAYS`; `splitnet_` is added, None leaves one out."""
    parameters = SAYS | {f"splitnet_{key}": value for key, value in says.items()}
    beside: dict[str, Parameter] = {key: value for key, value in parameters.items() if value is not None}
    tensor = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    return encode_request(InferRequest(model, {name: tensor}, tensor_parameters={name: beside}))


WRONG = {
    "unknown coding": (asks(coding="gzip"), "coding 'gzip' is unknown; expected one of none, zstd,"),
    "no text as coding": (asks(coding=7), "parameter splitnet_coding: expected text, got int"),
    "a long coding": (asks(coding="z" * 100_000), "is unknown"),
    "no datatype": (asks(datatype=None), "parameter splitnet_datatype: expected text, got nothing"),
    "no text as datatype": (asks(datatype=True), "parameter splitnet_datatype: expected text, got bool"),
    "unknown datatype": (asks(datatype="FP8"), "datatype 'FP8' is not supported"),
    "another datatype": (asks(datatype="INT8"), "tensor 't': expected uint8, got int8"),
    "no shape": (asks(shape=None), "parameter splitnet_shape: expected text, got nothing"),
    "no text as shape": (asks(shape=1536.0), "parameter splitnet_shape: expected text, got float"),
    "a scalar": (asks(shape=""), "are not fewer than the 1 they decode to"),
    "negative size": (asks(shape="-2,3,16,16"), "expected at most 32 sizes joined by commas"),
    "spaces": (asks(shape="2, 3, 16, 16"), "joined by commas"),
    "other digits": (asks(shape="٢,3,16,16"), "joined by commas"),
    "a line more": (asks(shape="2,3,16,16\n"), "joined by commas"),
    "a size too long": (asks(shape="2,3,16," + "9" * 20), "joined by commas"),
    "too many axes": (asks(shape=",".join("1" * 33)), "at most 32 sizes"),
    "a long shape": (asks(shape="1," * 100_000 + "1"), "at most 32 sizes"),
    "another shape": (
        asks(shape="2,3,16,15"),
        "tensor 't': expected shape ['batch', 3, 16, 16], got [2, 3, 16, 15]",
    ),
    "empty batch": (asks(shape="0,3,16,16"), "the batch is empty"),
    "too many samples": (asks(shape="1025,3,16,16"), "1025 samples in one request; at most"),
    "overflow": (asks(shape=f"{2**62},{2**62}"), "at most 67108864 are taken: send fewer samples"),
    "overflow behind an empty axis": (asks(shape=f"0,{2**62}"), "at most 67108864 are taken"),
    "fewer samples": (asks(shape="1,3,16,16"), "tensor 't': expected a Zstandard frame that states a size of 768"),
    "more samples": (asks(shape="3,3,16,16"), "expected a Zstandard frame that states a size of 2304 bytes"),
    "not smaller": (asks(bytes(1536)), "1536 coded bytes are not fewer than the 1536 they decode to"),
    "a coded tensor of floats": (
        asks(np.zeros(9, np.float32)),
        "expected coded bytes as UINT8 [bytes], got float32",
    ),
    "a coded tensor of two axes": (asks(np.zeros((3, 3), np.uint8)), "UINT8 [bytes], got uint8 [3, 3]"),
    "no bytes": (asks(b""), "expected a Zstandard frame"),
    "garbage": (asks(b"\xff" * 300), "expected a Zstandard frame"),
    "cut off": (asks(CODED[:-5]), "cut off"),
    "trailing": (asks(CODED + b"more"), "got 4 bytes after its end"),
    "a bomb": (asks(zstd.compress(bytes(2**28), 19)[:1500]), "that states a size of 1536 bytes"),
    "planes of bytes": (asks(coding="zstd-shuffle"), "regroups bytes, and uint8 has one"),
    "images cut off": (asks(encode("png", T)[:-2], coding="png"), "tensor 't': image 1 of 2 is cut off"),
    "no images": (asks(CODED, coding="jpeg"), "image 0 of 2 is cut off"),
    "images of floats": (
        asks(b"x", model=NAME, name="x", coding="png", datatype="FP32"),
        "tensor 'x': expected uint8, got float32",
    ),
}


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    package = split(tmp_path_factory.mktemp("coded") / "p.split", "zstd", "zstd")
    with (
        running("cloud", package=package) as cloud,
        running("edge", package=package, upstream=cloud.address) as edge,
    ):
        yield edge
        assert "Traceback" not in cloud.logged() + edge.logged()


@pytest.fixture(scope="module")
def channel(edge: Program) -> Iterator[grpc.Channel]:
    with dialled(edge.address) as channel:
        yield channel


@pytest.fixture(scope="module")
def talk(channel: grpc.Channel) -> Iterator[Conversation]:
    """One stream for every test of this module: nothing that is sent may end it."""
    talk = Conversation(channel, timeout_s=600)
    yield talk
    talk.end()


@pytest.mark.parametrize(("message", "says"), [pytest.param(*case, id=name) for name, case in WRONG.items()])
def test_wrong_coded_tensors_are_told_what_was_expected(
    channel: grpc.Channel, talk: Conversation, message: bytes, says: str
) -> None:
    for status, text in (called(channel, message), told(talk, message)):
        assert status == "INVALID_ARGUMENT"
        assert says in text
        for inside in ("Traceback", "File ", ".py", str(ROOT), "PIL", "backports", "onnx", "Error("):
            assert inside not in text
        assert len(text) < 600
    assert called(channel, asks()) == told(talk, asks()) == ("OK", "")


@given(
    data=st.binary(max_size=64) | st.sampled_from([CODED, encode("png", T), encode("jpeg", T)]),
    coding=st.sampled_from(CODINGS) | st.text(max_size=5),
    datatype=st.sampled_from(["UINT8", "UINT8", "BOOL", "FP32", "BYTES", ""]),
    shape=st.sampled_from(["2,3,16,16", "1,3,16,16", "2,0", "", "2,3,16,16,"])
    | st.text("0123456789,-", max_size=12),
)
@settings(max_examples=80)
def test_no_coded_tensor_breaks_the_server(
    talk: Conversation, data: bytes, coding: str, datatype: str, shape: str
) -> None:
    status, _text = told(talk, asks(data, coding=coding, datatype=datatype, shape=shape))
    assert status in {"OK", "INVALID_ARGUMENT"}
    assert told(talk, asks()) == ("OK", "")


def test_tiers_announce_that_they_decode(channel: grpc.Channel) -> None:
    message = unary(channel, SERVER_METADATA.path)(SERVER_METADATA.encode_request(Empty()), timeout=TIMEOUT_S)
    assert "splitnet_coding" in SERVER_METADATA.decode_response(message).extensions


def test_a_thin_client_may_send_a_jpeg(channel: grpc.Channel) -> None:
    x = smooth()
    coded = encode("jpeg", x)
    once = decode("jpeg", coded, dtype="uint8", shape=x.shape, max_bytes=x.nbytes)
    found = call(channel, asks(coded, model=NAME, name="x", coding="jpeg")).tensors["y"]
    np.testing.assert_array_equal(found, answer(once))


def test_few_bytes_may_not_become_more_than_a_message_holds(tmp_path: Path) -> None:
    zeros = np.zeros((100, *SHAPE), np.uint8)
    package = split(tmp_path / "p.split", "zstd", "zstd")
    message = asks(encode("zstd", zeros), shape="100,3,16,16")
    assert len(message) < 400
    with tier(package, "edge", max_message_bytes=zeros.nbytes) as address, dialled(address) as channel:
        assert called(channel, message)[0] == "UNAVAILABLE"  # of the cloud above; it was decoded
    with tier(package, "edge", max_message_bytes=zeros.nbytes - 1) as address, dialled(address) as channel:
        status, text = called(channel, message)
    assert status == "INVALID_ARGUMENT"
    assert "the coded tensors have 76800 bytes when decoded; at most 76799 are taken" in text


# Packages that a tier cannot serve.

OPENS: list[Callable[[Path], object]] = [
    lambda package: Session(package, upstream="127.0.0.1:9"),
    lambda package: ServingTier("edge", config(package)),
]


@pytest.mark.parametrize("opened", OPENS, ids=["device", "edge"])
def test_a_coding_that_is_not_installed_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Callable[[Path], object]
) -> None:
    package = split(tmp_path / "p.split", "png", "none")
    monkeypatch.setitem(sys.modules, "PIL.Image", None)  # as Python marks what it did not find
    with pytest.raises(ConfigError, match=r"codes tensor 't' as png; install splitnet with its extra `images`"):
        opened(package)


@pytest.mark.parametrize("opened", OPENS, ids=["device", "edge"])
def test_a_coding_that_does_not_apply_is_refused(tmp_path: Path, opened: Callable[[Path], object]) -> None:
    package = split(tmp_path / "p.split", "zstd-shuffle", "none")
    with pytest.raises(PackageError, match="'t' as zstd-shuffle, which does not apply to uint8"):
        opened(package)
